"""What was expected, in four languages, for each kind of pydantic error. Data and a look-up, nothing else.

Placeholders are limits from the schema; a value that was sent never appears.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.language import Texts, texts

_DATE = texts(
    "Erwartet wird ein Datum wie 2026-11-21.",
    "Une date comme 2026-11-21 est attendue.",
    "È attesa una data come 2026-11-21.",
    "Expected a date such as 2026-11-21.",
)
_TIME = texts(
    "Erwartet wird ein Zeitpunkt mit Zeitzone wie 2026-11-21T08:30:00Z.",
    "Un instant avec fuseau horaire comme 2026-11-21T08:30:00Z est attendu.",
    "È atteso un istante con fuso orario come 2026-11-21T08:30:00Z.",
    "Expected a time with time zone such as 2026-11-21T08:30:00Z.",
)
_INTEGER = texts(
    "Erwartet wird eine ganze Zahl.",
    "Un nombre entier est attendu.",
    "È atteso un numero intero.",
    "Expected a whole number.",
)
_NUMBER = texts("Erwartet wird eine Zahl.", "Un nombre est attendu.", "È atteso un numero.", "Expected a number.")
_BOOLEAN = texts(
    "Erwartet wird true oder false.", "true ou false est attendu.", "È atteso true o false.", "Expected true or false."
)
_STRING = texts("Erwartet wird ein Text.", "Un texte est attendu.", "È atteso un testo.", "Expected a text.")
_LIST = texts("Erwartet wird eine Liste.", "Une liste est attendue.", "È atteso un elenco.", "Expected a list.")
_OBJECT = texts(
    "Erwartet wird ein JSON-Objekt.",
    "Un objet JSON est attendu.",
    "È atteso un oggetto JSON.",
    "Expected a JSON object.",
)
_CHOICE = texts(
    "Erwartet wird einer dieser Werte: {expected}.",
    "Une de ces valeurs est attendue : {expected}.",
    "È atteso uno di questi valori: {expected}.",
    "Expected one of these values: {expected}.",
)
_UUID = texts("Erwartet wird eine UUID.", "Un UUID est attendu.", "È atteso un UUID.", "Expected a UUID.")
_URL = texts(
    "Erwartet wird eine vollständige Web-Adresse.",
    "Une adresse web complète est attendue.",
    "È atteso un indirizzo web completo.",
    "Expected a full web address.",
)
_EXACTLY = texts(
    "Dieser Wert ist hier nicht vorgesehen.",
    "Cette valeur n'est pas prévue ici.",
    "Questo valore non è previsto qui.",
    "This value is not provided for here.",
)

FALLBACK: Final[Texts] = texts(
    "Dieser Wert hat nicht die erwartete Form.",
    "Cette valeur n'a pas la forme attendue.",
    "Questo valore non ha la forma prevista.",
    "This value does not have the expected form.",
)

SENTENCES: Final[Mapping[str, Texts]] = {
    "missing": texts(
        "Diese Angabe fehlt.", "Cette indication manque.", "Questa indicazione manca.", "This value is missing."
    ),
    "extra_forbidden": texts(
        "Dieses Feld ist nicht vorgesehen.",
        "Ce champ n'est pas prévu.",
        "Questo campo non è previsto.",
        "This field is not provided for.",
    ),
    "string_type": _STRING,
    "string_unicode": _STRING,
    "string_sub_type": _STRING,
    "string_too_short": texts(
        "Erwartet werden mindestens {min_length} Zeichen.",
        "Au moins {min_length} caractères sont attendus.",
        "Sono attesi almeno {min_length} caratteri.",
        "Expected at least {min_length} characters.",
    ),
    "string_too_long": texts(
        "Erwartet werden höchstens {max_length} Zeichen.",
        "Au plus {max_length} caractères sont attendus.",
        "Sono attesi al massimo {max_length} caratteri.",
        "Expected at most {max_length} characters.",
    ),
    "string_pattern_mismatch": texts(
        "Erwartet wird die Form {pattern}.",
        "La forme {pattern} est attendue.",
        "È attesa la forma {pattern}.",
        "Expected the form {pattern}.",
    ),
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "greater_than": texts(
        "Erwartet wird ein Wert über {gt}.",
        "Une valeur supérieure à {gt} est attendue.",
        "È atteso un valore superiore a {gt}.",
        "Expected a value above {gt}.",
    ),
    "greater_than_equal": texts(
        "Erwartet wird mindestens {ge}.",
        "Au minimum {ge} est attendu.",
        "È atteso almeno {ge}.",
        "Expected at least {ge}.",
    ),
    "less_than": texts(
        "Erwartet wird ein Wert unter {lt}.",
        "Une valeur inférieure à {lt} est attendue.",
        "È atteso un valore inferiore a {lt}.",
        "Expected a value below {lt}.",
    ),
    "less_than_equal": texts(
        "Erwartet wird höchstens {le}.",
        "Au maximum {le} est attendu.",
        "È atteso al massimo {le}.",
        "Expected at most {le}.",
    ),
    "multiple_of": texts(
        "Erwartet wird ein Vielfaches von {multiple_of}.",
        "Un multiple de {multiple_of} est attendu.",
        "È atteso un multiplo di {multiple_of}.",
        "Expected a multiple of {multiple_of}.",
    ),
    "too_short": texts(
        "Erwartet werden mindestens {min_length} Einträge.",
        "Au moins {min_length} éléments sont attendus.",
        "Sono attesi almeno {min_length} elementi.",
        "Expected at least {min_length} entries.",
    ),
    "too_long": texts(
        "Erwartet werden höchstens {max_length} Einträge.",
        "Au plus {max_length} éléments sont attendus.",
        "Sono attesi al massimo {max_length} elementi.",
        "Expected at most {max_length} entries.",
    ),
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dataclass_type": _OBJECT,
    "enum": _CHOICE,
    "literal_error": _CHOICE,
    "union_tag_invalid": texts(
        "Erwartet wird einer dieser Werte: {expected_tags}.",
        "Une de ces valeurs est attendue : {expected_tags}.",
        "È atteso uno di questi valori: {expected_tags}.",
        "Expected one of these values: {expected_tags}.",
    ),
    "union_tag_not_found": texts(
        "Es fehlt die Angabe, um welche Art es geht.",
        "L'indication du type manque.",
        "Manca l'indicazione del tipo.",
        "The kind is missing.",
    ),
    "none_required": _EXACTLY,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": _TIME,
    "date_past": texts(
        "Erwartet wird ein Datum in der Vergangenheit.",
        "Une date passée est attendue.",
        "È attesa una data passata.",
        "Expected a date in the past.",
    ),
    "date_future": texts(
        "Erwartet wird ein Datum in der Zukunft.",
        "Une date future est attendue.",
        "È attesa una data futura.",
        "Expected a date in the future.",
    ),
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "url_type": _URL,
    "url_parsing": _URL,
    "url_syntax_violation": _URL,
    "url_scheme": _URL,
}


def sentence(code: str, limits: Mapping[str, Any]) -> Texts:
    """The sentence for a pydantic error type with the schema's limits filled in; a general one for unknown types."""
    template = SENTENCES.get(code, FALLBACK)
    try:
        return {language: text.format_map(limits) for language, text in template.items()}
    except KeyError:
        return FALLBACK
