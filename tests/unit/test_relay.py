"""The relay: contiguous runs in order, stopping at the first failure, sweeping, agencies, second relays, refills."""

import asyncio
from collections.abc import Callable

import pytest
from opentelemetry import trace

from shared import relay as relay_module
from shared.contracts.envelope import Message, decode
from shared.contracts.topics import IDENTITY_EVENTS, agency_topic
from shared.journal.fold import chain
from shared.journal.model import KEPT_EVENTS
from shared.kafka.client import partition_of
from shared.relay import HELD_EVENTS
from tests.unit.relay_process import Process, process_of
from tests.unit.sample_journal import (
    AGENCIES,
    CONFIRMED,
    KEY,
    OPENED,
    add,
    command,
    noted,
)

__all__ = ["process_of"]


async def test_saved_events_are_published_at_once(process: Process) -> None:
    """The running relay needs no poll: what is saved lies on the topic, and the watermark says so."""
    running = asyncio.create_task(process.relay.run())
    await process.save(count=2)
    await process.save()
    await _until(lambda: process.watermark() == (3, False))
    assert process.published() == [1, 2, 3]
    running.cancel()


async def test_a_record_carries_the_event_and_its_attributes(process: Process) -> None:
    """Consumers decode what was decided; key, id, sequence and mac are the journal's."""
    await process.journal.record("d1:2", add(CONFIRMED), command("k"), creates=True)
    await process.relay_once()
    (message,) = process.broker.topic(IDENTITY_EVENTS)
    received = decode(message)
    assert received is not None
    stored = (await process.store.events("d1:2"))[0]
    assert received.event == CONFIRMED
    assert (message.key, received.envelope.dossier, received.envelope.id) == (b"d1", "d1", "d1:2:1")
    assert received.envelope.mac == stored["mac"] == chain(KEY, "", stored)
    assert received.envelope.source == "//dossierbus/emmen/identity"


async def test_a_failed_acknowledgement_stops_its_dossier_only(process: Process) -> None:
    """Nothing behind the failed event counts as published; other dossiers go on; the sweeper repeats from there."""
    failing = [True]
    process.broker.refuses = lambda message: failing[0] and _is(message, "d1", 2)
    await process.save("d1", 3)
    await process.save("e1", 2)
    await process.relay_once()
    assert process.published("d1") == [1]
    assert process.watermark("d1") == (1, True)
    assert process.watermark("e1") == (2, False)
    failing[0] = False
    assert await process.sweep() == 1
    assert process.published("d1") == [1, 2, 3]
    assert process.watermark("d1") == (3, False)


async def test_lost_acknowledgements_only_repeat(process: Process) -> None:
    """What was written but not acknowledged comes again; first occurrences are in order."""
    process.broker.lose_acknowledgements = 1
    await process.save(count=2)
    await process.relay_once()
    assert process.watermark() == (0, True)
    await process.save()
    await process.relay_once()
    assert process.published() == [1, 2, 1, 2, 3]
    assert process.watermark() == (3, False)


async def test_a_new_event_brings_what_was_left_behind(process: Process) -> None:
    """A relay never sends only what it just saw: a gap before it is read from the journal first."""
    process.broker.away = True
    await process.save(count=2)
    await process.relay_once()
    process.broker.away = False
    await process.another().save()
    late = process.another()
    await late.save()
    await late.relay_once()
    assert process.published() == [1, 2, 3, 4]


async def test_two_relays_can_only_repeat(process: Process) -> None:
    """Two processes and a sweeper at once: every event is there, first occurrences in order."""
    other = process.another()
    for _ in range(10):
        await asyncio.gather(process.save(), other.save(), process.save("e1"))
        await asyncio.gather(process.relay_once(), other.relay_once(), process.sweep())
    assert list(dict.fromkeys(process.published("d1"))) == list(range(1, 21))
    assert list(dict.fromkeys(process.published("e1"))) == list(range(1, 11))
    assert process.watermark() == (20, False)


async def test_a_crash_after_saving_is_swept_up(process: Process) -> None:
    """What was saved by a process that died is published by the sweeper, once it is old enough."""
    await process.save(count=3)
    sweeper = process.another()
    assert await sweeper.relay.sweep() == 0
    assert await sweeper.sweep() == 1
    assert process.published() == [1, 2, 3]
    assert await sweeper.sweep() == 0


async def test_a_crash_before_the_watermark_is_swept_up(process: Process) -> None:
    """Published but not marked: the sweeper repeats and marks."""
    await process.save(count=2)
    process.store.documents["d1"].update(published=2, pending=True)
    assert await process.another().sweep() == 1
    assert process.published() == []
    assert process.watermark() == (2, False)


async def test_an_absent_store_costs_no_event(process: Process) -> None:
    """The watermark could not be saved: the events are repeated later, none is skipped."""
    await process.save()
    genuine = process.broker.publish

    async def then_away(messages: list[Message]) -> list[bool]:
        process.store.away = True
        return await genuine(messages)

    process.broker.publish = then_away  # type: ignore[method-assign, assignment]
    await process.relay_once()
    process.store.away, process.broker.publish = False, genuine  # type: ignore[method-assign]
    await process.save()
    await process.relay_once()
    assert list(dict.fromkeys(process.published())) == [1, 2]
    assert process.watermark() == (2, False)


async def test_what_does_not_fit_in_memory_is_swept_up(process: Process) -> None:
    """A relay that cannot keep up forgets offers, not events; those it still knows stay complete."""
    process.relay._held = HELD_EVENTS
    await process.save("d1")
    assert "d1" not in process.relay._offered
    process.relay._held = 0
    assert await process.sweep() == 1
    assert process.published() == [1]


async def test_a_forgotten_watermark_is_read_from_the_journal(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few positions are remembered, every event is published in order."""
    monkeypatch.setattr(relay_module, "REMEMBERED", 1)
    for _ in range(3):
        for subject in ("d1", "d2"):
            await process.save(subject)
        await process.relay._publish_offered()
    assert len(process.relay._sent) == 1
    assert process.published("d1") == process.published("d2") == [1, 2, 3]
    assert process.watermark("d1") == process.watermark("d2") == (3, False)


async def test_the_sweeper_leaves_alone_what_is_under_way(process: Process) -> None:
    """What this process has been offered, or is sending, is not sent a second time beside it."""
    gate, genuine = asyncio.Event(), process.broker.publish

    async def slow(messages: list[Message]) -> list[bool]:
        await gate.wait()
        return await genuine(messages)

    process.broker.publish = slow  # type: ignore[method-assign, assignment]
    await process.save()
    assert await process.sweep() == 0
    sending = asyncio.create_task(process.relay_once())
    await asyncio.sleep(0)
    assert await process.sweep() == 0
    gate.set()
    await sending
    assert process.published() == [1]


async def test_agencies_get_their_shares_in_order(process: Process) -> None:
    """Shares go to the agency's own topic under the agency's own gap-free sequence, and to no other topic."""
    await process.journal.record("d1", add(OPENED, noted(1), CONFIRMED), command("k"), creates=True)
    await process.relay_once()
    one, other = (agency_topic(agency) for agency in AGENCIES)
    assert process.published(topic=one) == [1, 2]
    assert process.published(topic=other) == [1]
    (shared,) = process.broker.topic(other)
    received = decode(shared)
    assert received is not None
    assert received.envelope.source == f"//dossierbus/emmen/identity/agency/{AGENCIES[1]}"
    assert received.envelope.mac == ""


async def test_a_share_that_fails_is_repeated(process: Process) -> None:
    """An agency topic that does not answer holds up its dossier's watermark, and nobody's order."""
    place = (agency_topic(AGENCIES[0]), partition_of(b"d1", process.broker.partitions))
    process.broker.failing.add(place)
    await process.journal.record("d1", add(noted(1), OPENED, CONFIRMED), command("k"), creates=True)
    await process.relay_once()
    assert process.watermark() == (1, True)
    process.broker.failing.clear()
    await process.sweep()
    assert process.watermark() == (3, False)
    assert list(dict.fromkeys(process.published())) == [1, 2, 3]
    assert process.published(topic=place[0]) == [1, 2]


async def test_long_journals_are_sealed_while_publishing(process: Process) -> None:
    """The document keeps fewer than twice the kept events, and everything was published once."""
    for _ in range(25):
        await process.save(count=20)
        await process.relay_once()
        assert len(process.store.documents["d1"]["events"]) < 2 * KEPT_EVENTS + 20
    assert process.published() == list(range(1, 501))
    assert len(await process.store.events("d1")) == 500
    assert len(process.store.documents["d1"]["events"]) == 300


async def test_publishing_continues_the_trace_of_its_event(process: Process) -> None:
    """The record bears the trace under which the event was saved."""
    with trace.get_tracer("test").start_as_current_span("request"):
        await process.save()
    await process.relay_once()
    (message,) = process.broker.topic(IDENTITY_EVENTS)
    stored = (await process.store.events("d1"))[0]
    assert dict(message.headers).get("traceparent", b"").decode() == stored["trace"]


def _is(message: Message, subject: str, sequence: int) -> bool:
    notes = dict(message.headers)
    return (notes["ce_subject"], int(notes["ce_sequence"])) == (subject.encode(), sequence)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0)
