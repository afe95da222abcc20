"""JSON Schemas of the events as they are published. Derived from the event classes; writes nothing."""

from typing import Any, Final

from shared.contracts.envelope import SCHEMA_BASE
from shared.contracts.event import Event

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def schema_of(event: type[Event]) -> Schema:
    """Return the JSON Schema (2020-12) of an event's data.

    Fields with a default are optional, since a reader fills them in. Unknown fields are allowed: a later release may
    add some. `x-classification: sealed` marks personal values, which are encrypted.
    """
    return {
        "$schema": DIALECT,
        "$id": f"{SCHEMA_BASE}/{event.type}.json",
        **_untitled(event.model_json_schema(mode="validation")),
        "title": event.__name__,
    }


def _untitled(node: Any) -> Any:
    """Drop pydantic's titles of fields, which only repeat their names."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _untitled(field) for name, field in value.items()} if key == "properties" else _untitled(value)
        for key, value in node.items()
        if key != "title"
    }
