"""Leaving in order: work is ended or given back, the relay sends what it holds, and what it holds is bounded."""

import asyncio

import pytest

from shared import relay as relays
from shared import work as works
from shared.contracts.envelope import Message
from shared.journal import Task
from shared.testing.broker import MemoryBroker
from shared.testing.store import MemoryJournalStore
from shared.work import Done, WorkLoop
from tests.unit.relay_process import Process
from tests.unit.sample_journal import CALL, QuickEnvironment, Tally, add, noted
from tests.unit.work_office import Office, until


class Slow:
    """A provider that answers when told to."""

    def __init__(self, office: Office) -> None:
        self.answers = asyncio.Event()
        office.provider.answer = self.answer

    async def answer(self, _task: Task[Tally]) -> Done[Tally]:
        """Wait, then succeed."""
        await self.answers.wait()
        return Done(add(noted(1)))


async def test_what_is_under_way_is_ended_and_nothing_new_begins() -> None:
    """Told to leave, a loop waits for the provider's answer, saves it, and takes nothing more."""
    office = Office()
    slow = Slow(office)
    await office.open("d1")
    running = asyncio.create_task(office.loop.run())
    await until(lambda: bool(office.provider.asked))
    leaving = asyncio.create_task(office.loop.leave())
    await office.open("d2")
    await asyncio.sleep(0)
    slow.answers.set()
    await leaving
    await running
    assert office.provider.asked == ["d1:1/call"]
    assert await office.total("d1") == 1


async def test_what_takes_too_long_is_given_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another replica takes it up without waiting for the lease to end, under the same id, and it is done once."""
    monkeypatch.setattr(works, "LEAVE_SECONDS", 0.01)
    office = Office()
    Slow(office)
    await office.open("d1")
    await office.loop.start_due()
    await until(lambda: bool(office.provider.asked))
    await office.loop.leave()
    office.provider.answer = None
    office.loop = WorkLoop(office.journal, {CALL: office.performer}, office.environment)
    assert await office.work() == 1
    assert office.provider.asked == ["d1:1/call", "d1:1/call"]
    assert await office.total() == 1
    assert await office.work(3600) == 0


async def test_the_relay_sends_what_it_holds_before_it_ends() -> None:
    """Everything offered lies on the topic when finishing is over, and the relay has ended."""
    process = Process(MemoryJournalStore(), MemoryBroker(), QuickEnvironment())
    running = asyncio.create_task(process.relay.run())
    await asyncio.sleep(0)
    await process.save("d1", 3)
    await process.save("d2", 2)
    await process.relay.finish()
    assert (process.published("d1"), process.published("d2")) == ([1, 2, 3], [1, 2])
    await running


async def test_a_relay_that_never_began_holds_nothing_up() -> None:
    """Without a broker nobody publishes; leaving does not wait, and the sweeper finds what was saved."""
    process = Process(MemoryJournalStore(), MemoryBroker(), QuickEnvironment())
    await process.save("d1", 3)
    await process.relay.finish()
    assert process.published() == []
    assert await process.another().sweep() == 1
    assert process.published() == [1, 2, 3]


class Hanging(MemoryBroker):
    """A broker that answers when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()

    async def publish(self, messages: "list[Message]") -> list[bool]:  # type: ignore[override]
        """Wait, then take the records."""
        await self.answers.wait()
        return await super().publish(messages)


async def test_what_a_relay_holds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the broker hangs, one busy dossier cannot fill the memory; the sweeper publishes the rest, in order."""
    monkeypatch.setattr(relays, "HELD_EVENTS", 10)
    broker = Hanging()
    process = Process(MemoryJournalStore(), broker, QuickEnvironment())
    running = asyncio.create_task(process.relay.run())
    for _ in range(40):
        await process.save("d1")
        await process.save("d2", 3)
        held = sum(len(events) for _, events in process.relay._offered.values())
        assert held == process.relay._held <= 10
    broker.answers.set()
    await process.relay.finish()
    await running
    while await process.sweep():
        pass
    for subject, count in (("d1", 40), ("d2", 120)):
        assert list(dict.fromkeys(process.published(subject))) == list(range(1, count + 1))
    assert process.relay._held == 0
    assert process.watermark() == (40, False)


async def test_a_loop_that_leaves_wakes_nobody_again() -> None:
    """Leaving an idle loop is over at once."""
    office = Office()
    running = asyncio.create_task(office.loop.run())
    await asyncio.sleep(0)
    await office.loop.leave()
    await asyncio.wait_for(running, 1)
