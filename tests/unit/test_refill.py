"""A broker that came back empty is filled again, in order, and nothing of before is believed of it."""

from collections.abc import Sequence

import pytest

from shared.contracts.envelope import Message
from shared.contracts.topics import IDENTITY_EVENTS, agency_topic
from tests.unit.relay_process import Process, process_of
from tests.unit.sample_journal import (
    AGENCIES,
    CONFIRMED,
    OPENED,
    add,
    command,
)

__all__ = ["process_of"]


async def test_a_refill_is_complete_and_in_order(process: Process) -> None:
    """After the broker came back empty the journals fill it again, the same events with the same ids and shares."""
    await process.journal.record("d1", add(OPENED, CONFIRMED), command("k"), creates=True)
    await process.save(count=2)
    await process.relay_once()
    before = process.broker.topic(IDENTITY_EVENTS), process.broker.topic(agency_topic(AGENCIES[0]))
    process.broker.empty()
    assert await process.store.republish(1) == 1
    restarted = process.another()
    await restarted.sweep()
    assert (process.broker.topic(IDENTITY_EVENTS), process.broker.topic(agency_topic(AGENCIES[0]))) == before
    assert process.watermark() == (4, False)


async def test_a_writer_of_before_a_refill_is_not_believed(process: Process) -> None:
    """An event saved on top of what counted as published before the refill comes after all older ones."""
    await process.save(count=3)
    await process.relay_once()
    await process.save()
    process.broker.empty()
    await process.store.republish(1)
    await process.relay_once()
    assert process.published() == [1, 2, 3, 4]
    assert process.watermark() == (4, False)


async def test_what_the_old_broker_took_is_not_on_the_new_one(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that slept between the acknowledgement and the watermark raises nothing when it wakes after a refill."""
    genuine = process.broker.publish

    async def publish(messages: Sequence[Message]) -> list[bool]:
        acknowledged = await genuine(messages)
        process.broker.empty()
        await process.store.republish(1)
        return acknowledged

    await process.save(count=2)
    monkeypatch.setattr(process.broker, "publish", publish)
    await process.relay_once()
    assert process.watermark() == (0, True)
    monkeypatch.undo()
    await process.sweep()
    assert process.published() == [1, 2]
    assert process.watermark() == (2, False)
