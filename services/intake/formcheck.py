"""The check of a form: does what was filled in fit the schema of the service, and which field is to be changed how.

Owns limits, schema validation (JSON Schema 2020-12) and the words of the errors. Never repeats what was filled in, not
even the name of a field that the schema does not know: both may be personal data. Plausibility is in `formrules`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import yaml
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from services.intake.formats import FORMATS, LANGUAGES

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_ERRORS = 50
_TEXTS = Path(__file__).parent / "formcheck.yaml"
_JSON = frozenset({dict, list, str, int, float, bool, type(None)})
_UNKNOWN_FIELDS = frozenset({"additionalProperties", "unevaluatedProperties"})
# The keywords whose value in the schema says what is expected; others could carry parts of the form.
_TELLING = frozenset(
    {"type", "enum", "const", "format", "pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum"}
    | {"exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
)

Expected = str | int | float | bool | None | tuple[Any, ...]


class SchemaError(ValueError):
    """A service's form schema cannot be used; found when the catalogue is loaded, never while a form is checked."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that was not accepted.

    `pointer` is its JSON Pointer (RFC 6901) in the form, `code` the schema keyword or the code of the rule, `detail`
    the text in de, fr, it, en, `expected` what was asked for, for machines.
    """

    pointer: str
    code: str
    detail: Mapping[str, str]
    expected: Expected = None


class FormSchema:
    """A form schema that is compiled once and then used for every form.

    Raises SchemaError when it is no valid JSON Schema 2020-12, points to a schema elsewhere, or uses an unknown format
    or a regular expression that could take more than linear time.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = dict(schema)
        try:
            self._validator = Draft202012Validator(
                self._schema,
                formats=dict(FORMATS),
                validate_formats=True,
                ignore_unknown_formats=False,
                pattern_options=RegexOptions(),
                offline=True,
            )
        except ValueError as error:
            raise SchemaError(str(error).partition("\n")[0]) from error

    def errors(self, form: Any) -> Iterator[ValidationError]:
        """Yield what the validator finds, as found."""
        return self._validator.iter_errors(form)

    def property_names(self, path: list[str | int]) -> tuple[str, ...]:
        """Return the names of the fields next to the keyword at a schema path, for saying what is expected."""
        node: Any = self._schema
        for step in path[:-1]:
            node = self._referenced(node["$ref"]) if step == "$ref" else node[step]
        return tuple(node.get("properties", ()))

    def _referenced(self, reference: str) -> Any:
        node: Any = self._schema
        for step in reference.partition("#")[2].split("/")[1:]:
            node = node[int(step) if isinstance(node, list) else step.replace("~1", "/").replace("~0", "~")]
        return node


def check_form(schema: FormSchema, form: Any) -> tuple[FieldError, ...]:
    """Return what is wrong with a form (JSON values), at most 50 errors, none when it fits.

    A form over 64 KiB, deeper than 8 levels, or not expressible in JSON gets that one error and no further look.
    """
    outside = check_limits(form)
    if outside:
        return outside
    return tuple(_field_error(schema, error) for error in islice(schema.errors(form), MAX_ERRORS))


def check_limits(form: Any) -> tuple[FieldError, ...]:
    """Return the one limit that a form breaks, or nothing; safe for any nesting."""
    level, depth = [form], 0
    while level:
        if not all(_is_json(node) for node in level):
            return (_whole("malformed"),)
        level = [child for node in level for child in _children(node)]
        depth += bool(level)
        if depth > MAX_DEPTH:
            return (_whole("too-deep", MAX_DEPTH),)
    try:
        size = len(orjson.dumps(form))
    except TypeError:
        return (_whole("malformed"),)
    return (_whole("too-large", MAX_BYTES),) if size > MAX_BYTES else ()


def pointer(path: list[str | int]) -> str:
    """Write a path as a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


@lru_cache(maxsize=1)
def texts() -> dict[str, dict[str, str]]:
    """All texts: key, language, text."""
    loaded: dict[str, dict[str, str]] = yaml.safe_load(_TEXTS.read_text(encoding="utf-8"))
    return loaded


def _is_json(node: Any) -> bool:
    return type(node) in _JSON and (not isinstance(node, float) or math.isfinite(node))


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _whole(code: str, expected: Expected = None) -> FieldError:
    return FieldError("", code, _detail(code, expected), expected)


def _field_error(schema: FormSchema, error: ValidationError) -> FieldError:
    keyword, path = error.kind.name, list(error.instance_path)
    if keyword == "required":
        # The pointer names the field that is missing, not the group that lacks it.
        return FieldError(pointer([*path, error.kind.value]), keyword, _detail(keyword, None))
    code = "additionalProperties" if keyword in _UNKNOWN_FIELDS else keyword
    expected = _expected(schema, keyword, error)
    return FieldError(pointer(path), code, _detail(code if code in texts() else "other", expected), expected)


def _expected(schema: FormSchema, keyword: str, error: ValidationError) -> Expected:
    if keyword in _UNKNOWN_FIELDS:
        return schema.property_names(list(error.schema_path))
    value = error.kind.value if keyword in _TELLING else None
    return tuple(value) if isinstance(value, list) else value


def _detail(code: str, expected: Expected) -> dict[str, str]:
    return {
        language: texts()[code][language].format(expected=_words(code, expected, language)) for language in LANGUAGES
    }


def _words(code: str, expected: Expected, language: str) -> str:
    if isinstance(expected, tuple):
        return ", ".join(_words(code, one, language) for one in expected) or "–"
    word = texts().get(f"{code}.{expected}")
    if word:
        return word[language]
    return expected if isinstance(expected, str) else orjson.dumps(expected).decode()
