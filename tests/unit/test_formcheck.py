"""Form checks: every keyword is explained in four languages, and no value is repeated."""

import time
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.formats import LANGUAGES
from services.intake.formcheck import MAX_ERRORS, FieldError, FormSchema, SchemaError, check_form, texts
from services.intake.formrules import Rule, RuleContext, check_rules

TODAY = RuleContext(today=date(2026, 11, 21))
MESSAGE = {"de": "Bitte prüfen.", "fr": "À vérifier.", "it": "Da verificare.", "en": "Please check."}


def only(schema: dict[str, Any], form: Any) -> FieldError:
    """Return the one error of a form."""
    (error,) = check_form(FormSchema(schema), form)
    return error


KEYWORDS = [
    ({"type": "string"}, 1, "type", ("string",)),
    ({"type": ["integer", "null"]}, "x", "type", ("integer", "null")),
    ({"enum": ["bank", "school"]}, "marriage", "enum", ("bank", "school")),
    ({"const": True}, False, "const", True),
    ({"minLength": 3}, "q", "minLength", 3),
    ({"maxLength": 3}, "secret", "maxLength", 3),
    ({"minimum": 10}, 9, "minimum", 10),
    ({"maximum": 10}, 11, "maximum", 10),
    ({"exclusiveMinimum": 10}, 10, "exclusiveMinimum", 10),
    ({"exclusiveMaximum": 10}, 10, "exclusiveMaximum", 10),
    ({"multipleOf": 5}, 7, "multipleOf", 5),
    ({"pattern": "^[A-Z]+$"}, "abc", "pattern", "^[A-Z]+$"),
    ({"format": "ahv"}, "756.9217.0769.84", "format", "ahv"),
    ({"minItems": 2}, [1], "minItems", 2),
    ({"maxItems": 1}, [1, 2], "maxItems", 1),
    ({"uniqueItems": True}, [7, 7], "uniqueItems", None),
    ({"contains": {"const": 1}}, [2], "contains", None),
    ({"minProperties": 1}, {}, "minProperties", 1),
    ({"maxProperties": 0}, {"secret": 1}, "maxProperties", 0),
    ({"propertyNames": {"maxLength": 2}}, {"secret": 1}, "propertyNames", None),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "anyOf", None),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, 1, "oneOf", None),
    ({"not": {"type": "string"}}, "secret", "not", None),
    ({"prefixItems": [{}], "unevaluatedItems": False}, [1, 2], "unevaluatedItems", None),
]


@pytest.mark.parametrize(("schema", "value", "code", "expected"), KEYWORDS)
def test_each_keyword_says_where_and_what_was_expected(
    schema: dict[str, Any], value: Any, code: str, expected: Any
) -> None:
    """The pointer names the field, the code the keyword, and what was expected is the schema's own word."""
    error = only({"properties": {"field": schema}}, {"field": value})
    received = tuple(sorted(error.expected)) if isinstance(error.expected, tuple) else error.expected
    wanted = tuple(sorted(expected)) if isinstance(expected, tuple) else expected
    assert (error.pointer, error.code, received) == ("/field", code, wanted)
    assert set(error.detail) == set(LANGUAGES)
    assert len(set(error.detail.values())) == 4
    assert not any("{" in text for text in error.detail.values())


def test_a_missing_field_is_named_itself() -> None:
    """A required field that is missing, also because another one is there, is the field that the pointer names."""
    schema = {"required": ["name"], "dependentRequired": {"uid": ["company"]}}
    errors = check_form(FormSchema(schema), {"uid": 1})
    assert {(error.pointer, error.code) for error in errors} == {("/name", "required"), ("/company", "required")}


@pytest.mark.parametrize("keyword", ["additionalProperties", "unevaluatedProperties"])
def test_an_unknown_field_is_refused_without_repeating_its_name(keyword: str) -> None:
    """The name of an unknown field may be personal data: the error names the group and the fields it may have."""
    schema = {"properties": {"person": {"properties": {"name": {}, "birth": {}}, keyword: False}}}
    error = only(schema, {"person": {"name": "x", "Lea Muster": 1}})
    assert (error.pointer, error.code, error.expected) == ("/person", "additionalProperties", ("name", "birth"))
    assert "Lea Muster" not in repr(error)
    assert error.detail["de"] == "Hier sind nur diese Felder vorgesehen: name, birth."


def test_fields_behind_a_reference_are_explained_too() -> None:
    """A definition in the same schema works like one in place."""
    schema = {
        "properties": {"people": {"items": {"$ref": "#/$defs/person"}}},
        "$defs": {"person": {"properties": {"a/b": {"type": "string"}}, "additionalProperties": False}},
    }
    errors = check_form(FormSchema(schema), {"people": [{}, {"a/b": 1, "z": 2}]})
    assert {error.pointer for error in errors} == {"/people/1/a~1b", "/people/1"}
    assert {error.expected for error in errors} == {("string",), ("a/b",)}


def test_words_stand_for_types_and_formats() -> None:
    """People read words of their language, not the schema's."""
    assert only({"type": "integer"}, "x").detail["fr"] == "Valeur attendue : nombre entier."
    assert only({"format": "phone"}, "x").detail["it"] == "Valore atteso: un numero di telefono come +41410000000."
    assert only({"const": True}, "x").detail["en"] == "Exactly this value is expected: true."


@given(value=st.text(min_size=12, alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)))
def test_no_value_is_ever_repeated(value: str) -> None:
    """Whatever is filled in, no error contains it, neither as a value nor as a name."""
    schema = FormSchema(
        {
            "properties": {
                "a": {"format": "email", "maxLength": 5, "pattern": "^x$", "enum": ["k"], "type": "integer"}
            },
            "additionalProperties": False,
            "propertyNames": {"maxLength": 3},
        }
    )
    errors = check_form(schema, {"a": value, value: value})
    assert len(errors) == 7
    assert value not in repr(errors)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"format": "postcode"},
        {"$ref": "https://example.ch/schema"},
        {"pattern": "("},
        {"pattern": "(?=a)b"},
        {"pattern": "a{1000}{1000}{1000}"},
        {"minLength": "3"},
    ],
)
def test_a_bad_schema_is_found_at_load(schema: dict[str, Any]) -> None:
    """Wrong keywords, unknown formats, schemas elsewhere and expensive patterns never reach a citizen."""
    with pytest.raises(SchemaError):
        FormSchema({"properties": {"field": schema}})


FORMATS = [
    (
        "ahv",
        ["756.9217.0769.85", "7569217076985"],
        ["756.9217.0769.84", "757.9217.0769.85", "756 9217 0769 85", "", "٧" * 13],
    ),
    (
        "date",
        ["2028-02-29", "1899-12-31"],
        ["2026-02-29", "20260801", "2026-W01-1", "1.8.2026", "2026-08-01T00:00:00Z", ""],
    ),
    (
        "email",
        ["lea.muster@example.ch", "l+a@sub.example.swiss"],
        ["lea@localhost", "a@b.c", "a@@b.ch", "a b@c.ch", "a@b.ch\n"],
    ),
    (
        "name",
        ["Lea", "D´Angelo", "de Bernardi-Šimić", "Müller (Meier)", "Nguyễn", "O’Neil, Jr.", "Elisabeth II"],
        ["", "  ", "-", "Lea\nBcc: x", "L\x00", "<b>Lea</b>", "Lea \U0001f600", "\u202eaeL", "\u200b", "Le\u2028a"],
    ),
    ("phone", ["+41410000000", "+4915112345678"], ["0410000000", "+041", "+41 41 000 00 00", "+4141000000000000"]),
    ("zip-ch", ["6020", "9999"], ["0602", "60200", "602", "٦٠٢٠", "6020 "]),
    ("language", ["de", "fr", "it", "en"], ["DE", "rm", "", "de-CH"]),
    (
        "iban-ch",
        ["CH9300762011623852957", "CH93 0076 2011 6238 5295 7"],
        ["CH9300762011623852958", "DE89370400440532013000"],
    ),
    ("qrr", ["210000000003139471430009017", "21 00000 00003 13947 14300 09017"], ["210000000003139471430009018", "2"]),
    ("uid", ["CHE-109.322.551", "CHE109322551"], ["CHE-109.322.552", "109322551"]),
    ("plate-ch", ["LU 12345", "ZH1"], ["XX 1", "LU 0123", "LU 1234567", "lu 1"]),
]


@pytest.mark.parametrize(("name", "good", "bad"), FORMATS)
def test_formats(name: str, good: list[str], bad: list[str]) -> None:
    """Each format accepts its ways of writing and refuses near misses; every one has its own words."""
    schema = FormSchema({"type": "array", "items": {"format": name}})
    assert check_form(schema, good) == ()
    assert [error.pointer for error in check_form(schema, bad)] == [f"/{place}" for place in range(len(bad))]
    assert set(texts()[f"format.{name}"]) == set(LANGUAGES)


def _nested(levels: int) -> Any:
    form: Any = 1
    for _ in range(levels):
        form = {"a": form}
    return form


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (_nested(9), "too-deep"),
        (_nested(100_000), "too-deep"),
        ({"a": "x" * 65_536}, "too-large"),
        ({"a": float("nan")}, "malformed"),
        ({"a": float("inf")}, "malformed"),
        ({"a": "\ud800"}, "malformed"),
        ({"a": 2**80}, "malformed"),
        ({1: 2}, "malformed"),
        ({"a": date(2026, 1, 1)}, "malformed"),
    ],
)
def test_hostile_forms_get_one_error(form: Any, code: str) -> None:
    """A form that is too deep, too large or no JSON is refused before any schema or rule sees it."""
    rule = Rule("", "true", MESSAGE)
    assert [error.code for error in check_form(FormSchema({}), form)] == [code]
    assert [error.code for error in check_rules([rule], form, TODAY)] == [code]


def test_eight_levels_and_64_kib_are_allowed() -> None:
    """The limits themselves are still inside."""
    assert check_form(FormSchema({}), _nested(8)) == ()
    assert check_form(FormSchema({}), {"a": "x" * (65_536 - 8)}) == ()


def test_the_number_of_errors_is_limited() -> None:
    """A list with thousands of wrong entries does not make an answer of megabytes."""
    assert len(check_form(FormSchema({"items": {"type": "string"}}), [1] * 5_000)) == MAX_ERRORS


def test_expensive_patterns_stay_cheap() -> None:
    """A pattern that takes exponential time elsewhere takes linear time here."""
    schema = FormSchema({"pattern": "^(a+)+$"})
    started = time.perf_counter()
    assert check_form(schema, "a" * 60_000 + "b")
    assert time.perf_counter() - started < 2


def test_every_text_has_four_languages() -> None:
    """No text lacks a language."""
    assert all(set(text) == set(LANGUAGES) for text in texts().values())
