"""Verifying journals: a whole one has no findings, and every way of breaking one is found."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.journal import Journal
from shared.journal.model import NOTHING_PUBLISHED
from shared.journal.verify import Finding, verify, verify_all
from shared.testing.store import MemoryJournalStore
from tests.unit.sample_journal import (
    CONFIRMED,
    MISMATCHED,
    OPENED,
    TALLY,
    Tally,
    add,
    command,
    journal_of,
    noted,
)


@pytest.fixture
def store() -> MemoryJournalStore:
    """Where d1 and d2 lie."""
    return MemoryJournalStore()


@pytest.fixture
async def journal(store: MemoryJournalStore) -> Journal[Tally]:
    """Two journals with shares; d1 is published up to its third event and sealed up to its first."""
    journal = journal_of(store)
    for subject in ("d1", "d2"):
        await journal.record(subject, add(OPENED, noted(1), CONFIRMED, MISMATCHED), command("k"), creates=True)
        await journal.record(subject, add(noted(2)), command("k2"))
    await store.mark_published("d1", NOTHING_PUBLISHED, 3)
    await store.seal("d1", keep=5)
    return journal


async def test_a_whole_journal_has_no_findings(journal: Journal[Tally]) -> None:
    """Sealed or not, published or not."""
    assert [(c.subject, c.events, c.findings) async for c in verify_all(journal)] == [("d1", 6, ()), ("d2", 6, ())]
    assert await verify(journal, "d1") == []


Break = Callable[[dict[str, Any], MemoryJournalStore], object]

BREAKS: dict[str, tuple[Break, set[str]]] = {
    "an event is lost": (lambda d, _: d["events"].pop(1), {"sequence", "chain", "state", "shares"}),
    "the last event is lost": (lambda d, _: d["events"].pop(), {"sequence", "chain", "state"}),
    "a sealed event is lost": (lambda _, s: s.segments["d1"].clear(), {"sequence", "chain", "state", "shares"}),
    "two events are swapped": (
        lambda d, _: d["events"].reverse(),
        {"sequence", "chain", "state"},
    ),
    "an event's data are altered": (lambda d, _: d["events"][-1]["data"].update(attempts=9), {"chain", "state"}),
    "an event's time is altered": (lambda d, _: d["events"][0].update(time="2020-01-01T00:00:00.000Z"), {"chain"}),
    "an event has another name": (lambda d, _: d["events"][0].update(id="d1:9"), {"sequence", "chain"}),
    "an event has no mac": (lambda d, _: d["events"][0].pop("mac"), {"chain"}),
    "the head has another mac": (lambda d, _: d.update(mac="0" * 64), {"chain"}),
    "the state is altered": (lambda d, _: d["state"].update(total=77), {"state"}),
    "the state cannot be read": (lambda d, _: d["state"].update(words=7), {"state"}),
    "an event cannot be read": (
        lambda d, _: d["events"][-1].update(type="org.dossierbus.identity.dreamt.v1"),
        {"chain", "state"},
    ),
    "the watermark is beyond the end": (lambda d, _: d.update(published=9), {"watermark"}),
    "the pending mark is lost": (lambda d, _: d.update(pending=False), {"pending"}),
    "an agency's count is altered": (lambda d, _: d["shared"].update({"court": 3}), {"shares"}),
    "a share is lost": (lambda d, _: d["events"][1].pop("shares"), {"chain", "shares"}),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_what_is_broken_is_found(journal: Journal[Tally], store: MemoryJournalStore, name: str) -> None:
    """Each way of breaking a journal is found under its rules, and in that journal only."""
    damage, rules = BREAKS[name]
    damage(store.documents["d1"], store)
    findings = [finding async for checked in verify_all(journal) for finding in checked.findings]
    assert {finding.rule for finding in findings} == rules
    assert {finding.subject for finding in findings} == {"d1"}


async def test_another_key_breaks_every_mac(journal: Journal[Tally], store: MemoryJournalStore) -> None:
    """Who does not have the key cannot have written the journal."""
    forger = Journal(TALLY, store, journal._environment, tenant="emmen", key=b"x" * 32)
    assert [finding.rule for finding in await verify(forger, "d1")] == ["chain"] * 6


async def test_a_journal_of_an_older_schema_is_whole(journal: Journal[Tally], store: MemoryJournalStore) -> None:
    """A state that waits to be refolded is not compared."""
    store.documents["d1"]["state"] = {"old": True}
    newer = journal_of(store, aggregate=replace(TALLY, schema=2))
    assert await verify(newer, "d1") == []


async def test_a_field_that_came_later_is_no_finding(journal: Journal[Tally], store: MemoryJournalStore) -> None:
    """A stored state without a field that has a default is read with it, as the journal itself does."""
    await journal.record("d3", add(OPENED), command("k"), creates=True)
    del store.documents["d3"]["state"]["total"]
    assert await verify(journal, "d3") == []
    del store.documents["d1"]["state"]["total"]
    assert [finding.rule for finding in await verify(journal, "d1")] == ["state"]


async def test_what_is_written_meanwhile_is_no_finding(journal: Journal[Tally], store: MemoryJournalStore) -> None:
    """A journal that grows while it is read is checked as it was."""
    genuine = store.load

    async def then_grow(subject: str, cause: str | None = None) -> Any:
        head = copy.deepcopy(await genuine(subject, cause))
        store.load = genuine  # type: ignore[method-assign]
        await journal.record(subject, add(noted(3)), command("k3"))
        return head

    store.load = then_grow  # type: ignore[method-assign]
    assert await verify(journal, "d1") == []


async def test_a_missing_journal_is_a_finding(journal: Journal[Tally]) -> None:
    """Asking for one that is not there says so."""
    assert await verify(journal, "gone") == [Finding("gone", "missing", "there is no such journal")]
