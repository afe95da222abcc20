"""Stripe's error answers (docs.stripe.com/api/errors) and the form encoding that requests come in."""

import json
from typing import Any
from urllib.parse import parse_qsl


class StripeError(Exception):
    """An error answer: HTTP status and the members of its `error` object."""

    def __init__(self, status: int, kind: str, message: str, **members: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "message": message, **members}}


def invalid(message: str, param: str = "", code: str = "") -> StripeError:
    """400 `invalid_request_error` about a parameter."""
    members = {name: value for name, value in (("param", param), ("code", code)) if value}
    return StripeError(400, "invalid_request_error", message, **members)


def missing(kind: str, identifier: str, param: str = "id") -> StripeError:
    """404 `resource_missing`."""
    text = f"No such {kind}: '{identifier}'"
    return StripeError(404, "invalid_request_error", text, code="resource_missing", param=param)


def fault_body(status: int) -> dict[str, Any]:
    """The body of an error that was asked for at /sandbox/faults."""
    if status == 429:
        return {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests."}}
    return {"error": {"type": "api_error", "message": f"An error {status} was asked for."}}


def parse_form(encoded: str) -> dict[str, Any]:
    """`a[b]=1&a[c][0]=2` -> {"a": {"b": "1", "c": {"0": "2"}}}; leaves are strings, lists have index keys."""
    values: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        *parents, leaf = name.replace("]", "").split("[")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise invalid("Invalid parameter nesting", name)
        place[leaf or str(len(place))] = value
    return values


def items(value: Any, param: str) -> list[Any]:
    """The members of a form list in order of their index."""
    if value is None:
        return []
    if not isinstance(value, dict) or not all(key.isdigit() for key in value):
        raise invalid("Invalid array", param)
    return [value[key] for key in sorted(value, key=int)]


def integer(value: Any, param: str) -> int:
    """A whole number from its form text."""
    if not isinstance(value, str) or not value.removeprefix("-").isdecimal() or not value.isascii():
        raise invalid(f"Invalid integer: {value}", param, "parameter_invalid_integer")
    return int(value)


def fingerprint(path: str, values: dict[str, Any]) -> str:
    """What makes two requests under one idempotency key the same."""
    return path + json.dumps(values, sort_keys=True)
