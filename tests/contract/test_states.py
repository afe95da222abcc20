"""A stored state is read by its schema number: another shape needs another number, or releases misread each other."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest

from services.cli import JOURNALS
from shared.journal import Aggregate

KNOWN: Final = Path(__file__).resolve().parents[1] / "data" / "states.json"
AGGREGATES: Final = {f"{service}.{name}": one for service, kinds in JOURNALS.items() for name, one in kinds.items()}


def _shape(aggregate: Aggregate[Any]) -> str:
    schema = aggregate.state.model_json_schema(mode="serialization")
    return hashlib.sha256(json.dumps(_bare(schema), sort_keys=True).encode()).hexdigest()[:16]


def _bare(node: Any) -> Any:
    """Leave out what words say: a better description is no other shape."""
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if key not in ("description", "title")}
    return [_bare(value) for value in node] if isinstance(node, list) else node


@pytest.mark.parametrize("name", sorted(AGGREGATES))
def test_a_shape_has_its_own_number(name: str) -> None:
    """The state's fields are those that its schema number stands for.

    After a change count `schema` of the aggregate up and put the new pair into tests/data/states.json.
    """
    aggregate = AGGREGATES[name]
    known: dict[str, str] = json.loads(KNOWN.read_text())[name]
    assert known.get(str(aggregate.schema)) == _shape(aggregate), f"{name}: {aggregate.schema} is {_shape(aggregate)}"
    assert str(aggregate.schema) == max(known, key=int)
    assert len(set(known.values())) == len(known)
