"""Finding people in the register the way clerks' systems do: by AHV number, or by name and date of birth. No I/O."""

import unicodedata
from collections.abc import Sequence

from deploy.local.sandbox.people import Person

_SPELLINGS = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}


def by_ahv(people: Sequence[Person], ahv: str) -> list[Person]:
    """People with that AHV number, with or without dots."""
    plain = "".join(sign for sign in ahv if sign.isdigit())
    return [person for person in people if person.vn == plain]


def by_name(people: Sequence[Person], official_name: str, first_name: str, born: str) -> list[Person]:
    """People of that name born on that day (YYYY-MM-DD); there may be several."""
    wanted = (folded(official_name), folded(first_name), born)
    return [p for p in people if (folded(p.official_name), folded(p.first_name), p.date_of_birth) == wanted]


def folded(name: str) -> str:
    """The name without case, accents, umlaut spellings and punctuation: Bühler, BUEHLER -> buehler."""
    spelled = "".join(_SPELLINGS.get(sign, sign) for sign in unicodedata.normalize("NFC", name).lower())
    return "".join(sign for sign in unicodedata.normalize("NFKD", spelled) if sign.isalnum())
