"""The generated files are what the code says, and the generator tells when they are not."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from shared.contracts.event import events
from shared.contracts.generate import ASYNCAPI, PAGE, ROOT, SCHEMAS, derived, differences, main
from shared.contracts.tables import filled, sealed_fields


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the documentation to spoil."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def test_committed_files_are_current() -> None:
    """Schemas, AsyncAPI and the tables of the events page are what `./dev contracts` would write."""
    assert differences(ROOT, derived(ROOT)) == []


def test_check_names_what_differs(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` changes nothing, exits 1, and names each file that is missing, wrong or left over."""
    changed, gone = sorted((copy / SCHEMAS).glob("*.json"))[:2]
    changed.write_text("{}")
    gone.unlink()
    (copy / SCHEMAS / "org.dossierbus.nobody.knows.v1.json").write_text("{}")
    assert main(["--check"], copy) == 1
    said = capsys.readouterr().err
    for name in (f"{changed.name} is not", f"{gone.name} is missing", "nobody.knows.v1.json belongs to no event"):
        assert name in said
    assert changed.read_text() == "{}"


def test_writing_mends(copy: Path) -> None:
    """Without `--check` the files are written, and are right afterwards."""
    (copy / ASYNCAPI).unlink()
    assert main([], copy) == 0
    assert main(["--check"], copy) == 0


def test_page_without_a_place_is_refused(copy: Path) -> None:
    """A table that has no place in the page would silently vanish; the generator says so instead."""
    page = (copy / PAGE).read_text().replace("<!-- generated: topics -->", "")
    with pytest.raises(ValueError, match="generated: topics"):
        filled(page)


@pytest.mark.parametrize("path", sorted((ROOT / SCHEMAS).glob("*.json")), ids=lambda path: path.stem)
def test_schema_is_valid_and_named_after_its_file(path: Path) -> None:
    """Each file is a JSON Schema 2020-12 whose `$id` ends with the file's name."""
    schema = json.loads(path.read_text())
    jsonschema_rs.meta.validate(schema)
    assert schema["$id"] == f"https://dossierbus.org/schemas/{path.name}"


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for value in node.values() for found in _references(value)]


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    """No channel, message, header schema or payload file is named that does not exist."""
    document = json.loads((ROOT / ASYNCAPI).read_text())
    for reference in _references(document):
        if not reference.startswith("#/"):
            assert (ROOT / ASYNCAPI).parent.joinpath(reference).is_file(), reference
            continue
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_asyncapi_document_holds_every_event_once() -> None:
    """Each event is a message of exactly one channel, and exactly one operation sends it."""
    document = json.loads((ROOT / ASYNCAPI).read_text())
    for event in events().values():
        channels = [name for name, channel in document["channels"].items() if event.__name__ in channel["messages"]]
        assert len(channels) == 1
        pointer = {"$ref": f"#/channels/{channels[0]}/messages/{event.__name__}"}
        senders = [
            name
            for name, operation in document["operations"].items()
            if operation["action"] == "send" and pointer in operation["messages"]
        ]
        assert len(senders) == 1, event.__name__


PERSONAL = {"person", "form", "contact", "register_id", "evidence", "sealed"}


@pytest.mark.parametrize("event", events().values(), ids=lambda event: event.__name__)
def test_personal_fields_are_sealed(event: Any) -> None:
    """A field of a name that stands for personal values is classified as sealed, but an agency's random pseudonym."""
    if event.aggregate == "agency":
        assert not sealed_fields(event)
        return
    assert set(sealed_fields(event)) == PERSONAL & set(event.model_fields)
