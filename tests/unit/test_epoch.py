"""After a restore from a backup: what is recorded again is no repeat of what was lost with the same numbers."""

from dataclasses import replace

import pytest

from services.analytics.domain import NOTHING, apply
from shared.contracts.dossier import DossierClosed
from shared.contracts.envelope import Received, Undecodable, decode
from shared.contracts.topics import IDENTITY_EVENTS, agency_topic
from shared.journal.model import Cause
from shared.journal.verify import verify
from shared.relay import SWEEP_AGE, Relay
from shared.testing.broker import MemoryBroker
from shared.testing.store import MemoryJournalStore
from tests.unit.sample_journal import (
    AGENCIES,
    CONFIRMED,
    OPENED,
    QuickEnvironment,
    add,
    command,
    journal_of,
    noted,
    record_of,
    told,
)

EPOCH = 470_000
RESTORED_ID = f"d1:3@{EPOCH}"


async def _restored() -> tuple[MemoryJournalStore, MemoryBroker]:
    """Return two events from before a restore and one from after it, and the broker they were published to."""
    store, broker, environment = MemoryJournalStore(), MemoryBroker(), QuickEnvironment()
    journal = journal_of(store, environment)
    await journal.record("d1", add(OPENED, noted(1)), command("before"), creates=True)
    store.restored = EPOCH
    await journal.record("d1", add(CONFIRMED), command("after"))
    environment.advance(2 * SWEEP_AGE)
    await Relay(journal, broker, environment).sweep()
    assert await verify(journal, "d1") == []
    return store, broker


def _later(received: Received) -> Received:
    envelope = received.envelope
    return replace(received, envelope=replace(envelope, epoch=EPOCH, id=f"{envelope.id}@{EPOCH}"))


async def test_events_recorded_after_a_restore_carry_its_epoch() -> None:
    """Older events keep their ids, newer ones are named with the epoch, for agencies too; the chain goes on."""
    _, broker = await _restored()
    published = [decode(message) for message in broker.topic(IDENTITY_EVENTS)]
    assert [(one.envelope.id, one.envelope.epoch) for one in published if one] == [
        ("d1:1", 0),
        ("d1:2", 0),
        (RESTORED_ID, EPOCH),
    ]
    shared = [decode(message) for message in broker.topic(agency_topic(AGENCIES[0]))]
    assert [one.envelope.id for one in shared if one] == ["d1:1", f"d1:2@{EPOCH}"]


async def test_what_is_told_again_after_a_restore_is_taken_in_once() -> None:
    """A reader that knows five lost events takes the new third one in, and neither a repeat nor a lost one."""
    journal = journal_of()
    await journal.record("d2", add(OPENED), command("k"), creates=True)

    async def take(received: Received) -> bool:
        return (await journal.record("d2", add(noted(1)), Cause.event(received.envelope))).repeated

    assert not await take(told("d1", 5))
    assert await take(told("d1", 3))
    assert not await take(_later(told("d1", 3)))
    assert await take(_later(told("d1", 3)))
    assert await take(told("d1", 5))
    assert not await take(_later(told("d1", 4)))


def test_what_is_made_for_a_request_is_found_again() -> None:
    """A request recorded again has the name of the lost one: its payment is not made twice."""
    assert _later(told("d1", 3)).envelope.name == told("d1", 3).envelope.name == "d1:3"
    assert _later(told("d1:3", 1)).envelope.name == "d1:3:1"


def test_kpis_follow_the_later_epoch() -> None:
    """A record that counted a lost event counts the one that took its place."""
    lost = told("d1", 5, DossierClosed(ending="withdrawn"))
    again = _later(told("d1", 4, DossierClosed(ending="completed")))
    record = apply(apply(NOTHING, lost.envelope, lost.event), again.envelope, again.event)
    assert record[""]["ending"] == "completed"
    assert apply(record, lost.envelope, lost.event) is record


async def test_an_epoch_that_goes_back_is_found() -> None:
    """Verifying tells an event of an earlier epoch behind one of a later epoch."""
    store, _ = await _restored()
    store.restored = EPOCH - 1
    journal = journal_of(store)
    await journal.record("d1", add(noted(2)), command("k"))
    assert [finding.rule for finding in await verify(journal, "d1")] == ["sequence"]


def test_an_epoch_is_a_number() -> None:
    """A record with another epoch is set aside."""
    message = record_of("d1", 1)
    with pytest.raises(Undecodable):
        decode(replace(message, headers=[*message.headers, ("ce_epoch", b"next")]))
