"""A published event type only ever gains fields that may be absent; the checker says why anything else does not fit."""

import copy
import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from shared.contracts import topics  # noqa: F401  (registers the events)
from shared.contracts.compatibility import breaks
from shared.contracts.event import events
from shared.contracts.generate import ROOT, SCHEMAS
from shared.contracts.schemas import schema_of

PUBLISHED: dict[str, Any] = {
    "$id": "https://dossierbus.org/schemas/x.json",
    "title": "X",
    "type": "object",
    "required": ["step", "person"],
    "properties": {
        "step": {"type": "string", "pattern": "^[a-z]+$"},
        "person": {"type": "string", "x-classification": "sealed"},
        "outcome": {"type": "string", "enum": ["granted", "refused"], "default": "granted"},
        "reasons": {"type": "array", "items": {"type": "string", "maxLength": 10}, "default": []},
        "amount": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "default": None},
    },
}


def _git(*arguments: str) -> str:
    command = [shutil.which("git") or "git", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"no published version to compare with: {run.stderr.strip()}")
    return run.stdout


def test_events_fit_their_published_schemas() -> None:
    """Every schema committed last (or in CONTRACTS_BASE) is still kept by the class of its type."""
    base = os.environ.get("CONTRACTS_BASE", "HEAD")
    paths = _git("ls-tree", "--name-only", base, f"{SCHEMAS}/").split()
    known = {f"{event.type}.json": event for event in events().values()}
    found = []
    for path in paths:
        name = path.rpartition("/")[2]
        if name not in known:
            found.append(f"{name}: the event is gone, but journals and topics hold it")
            continue
        published = json.loads(_git("show", f"{base}:{path}"))
        found += [f"{name}{problem}" for problem in breaks(published, schema_of(known[name]))]
    assert found == []


def _changed(**paths: Any) -> dict[str, Any]:
    """Return the schema with values set at `a__b` paths; None removes."""
    schema = copy.deepcopy(PUBLISHED)
    for path, value in paths.items():
        *parents, last = path.split("__")
        node = schema
        for parent in parents:
            node = node[parent]
        if value is None:
            del node[last]
        else:
            node[last] = value
    return schema


def test_the_same_schema_fits() -> None:
    """Nothing changed: nothing to say."""
    assert breaks(PUBLISHED, PUBLISHED) == []


@pytest.mark.parametrize(
    "changed",
    [
        _changed(properties__added={"type": "string", "default": ""}),
        _changed(title="Y", description="another text"),
        _changed(properties__step={"type": "string", "pattern": "^[a-z]+$", "description": "new words"}),
    ],
    ids=["optional field", "texts", "text of a field"],
)
def test_additions_fit(changed: dict[str, Any]) -> None:
    """A new field that may be absent, and other words, fit the published version."""
    assert breaks(PUBLISHED, changed) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (_changed(properties__step=None), "/step: was removed"),
        (_changed(properties__added={"type": "string"}, required=["step", "person", "added"]), "new and required"),
        (_changed(required=["step", "person", "outcome"]), "/outcome: becomes required"),
        (_changed(required=["step"]), "/person: becomes optional"),
        (_changed(properties__step__type="integer"), "/step: the type was 'string'"),
        (_changed(properties__step__pattern="^.*$"), "/step: the pattern"),
        (_changed(properties__person={"type": "string"}), "the protection of personal values"),
        (_changed(properties__outcome__enum=["granted"]), "['refused'] would not be readable"),
        (_changed(properties__outcome__enum=["granted", "refused", "held"]), "refuse ['held']"),
        (_changed(properties__outcome__enum=None), "a list of values appears or disappears"),
        (_changed(properties__outcome__default="refused"), "the value of an absent field"),
        (_changed(properties__reasons__items__maxLength=20), "/reasons/items: the greatest length"),
        (_changed(properties__amount__anyOf=[{"type": "integer", "minimum": 0}]), "/amount: the alternatives"),
        (
            _changed(properties__amount__anyOf=[{"type": "integer", "minimum": 1}, {"type": "null"}]),
            "/amount/anyOf/0: the least value",
        ),
        (_changed(properties__step__not={"const": "x"}), "`not` is not judged here"),
        (_changed(additionalProperties=False), "/additionalProperties: was None"),
    ],
)
def test_anything_else_is_a_new_version(changed: dict[str, Any], said: str) -> None:
    """Each other change is refused with the place and the reason."""
    assert any(said in problem for problem in breaks(PUBLISHED, changed)), breaks(PUBLISHED, changed)
