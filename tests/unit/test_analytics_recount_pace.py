"""How long a recount holds events, and how often one that fails is tried again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest

from services.analytics import recount
from services.analytics.domain import Record, dump, load, recount_of
from services.analytics.parity import totals_of
from services.analytics.topics import GROUP
from shared.contracts.envelope import Message
from shared.errors import BrokerUnavailable
from shared.kafka.topics import Place, Span
from tests.unit.analytics_office import PARTITIONS, Busy, Logs, Office, counted
from tests.unit.analytics_samples import stories

AN_HOUR = 3600.0
LATER = "2026-11-22T00:00:00.000Z"


@pytest.fixture
async def office() -> Office:
    """A worker that has counted twelve dossiers."""
    return await counted()


class Watched(Logs):
    """Topics at which something happens before they are read (`first`) and afterwards (`then`)."""

    def __init__(
        self,
        office: Office,
        first: Callable[[], Awaitable[object]] | None = None,
        then: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.__dict__ = office.logs.__dict__
        self._first, self._then = first, then

    async def read(self, spans: Mapping[Place, Span]) -> AsyncIterator[Message]:
        """Records."""
        if self._first:
            await self._first()
        async for record in super().read(spans):
            yield record
        if self._then:
            await self._then()


async def test_events_are_held_for_what_came_meanwhile_only(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are made while events are counted; with events held, no more are made than were counted meanwhile."""
    made: list[bool] = []

    def noted(record: Record) -> bytes:
        made.append(office.recounter.handling.locked())
        return dump(record)

    waiting = list(stories(6, seed=4))
    monkeypatch.setattr(recount, "dump", noted)
    await office.recounts.ask()
    await office.recounter.look(lambda: office.table, Busy(office, waiting, pace=2))
    published = list(stories(6, seed=4))[len(waiting) :]
    assert len(made) >= 12
    assert 0 < sum(made) <= len(published)
    assert office.totals() == totals_of(*stories(12), *published)


async def test_an_event_without_its_predecessor_is_kept(office: Office) -> None:
    """Counted while records are made, of a dossier that no fold can tell: it counts as it did before the recount."""
    story = next(iter(stories(1, seed=5)))
    office.publish(story[1:2])
    calls = 0

    async def count() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            await office.count()

    await office.recounts.ask()
    await office.recounter.look(lambda: office.table, Watched(office, then=count))
    told = office.totals()
    await restarted(office)
    assert told == office.totals()


async def restarted(office: Office) -> None:
    """The worker again, after a crash: what is told is what the changelog tells."""
    office.running.clear()
    await office.start()
    await office.count()


async def test_what_dead_letters_take_or_give_back_meanwhile_is_heeded(office: Office) -> None:
    """A dossier that is held once the records are made keeps its own; one that is held no more is made anew."""
    taken, given = (story[0].envelope.dossier for story in list(stories(2)))
    for dossier in (taken, given):
        office.plant(dossier, {"": {"k": "d", "n": 900, "service": "parking-permit", "submitted": 1, "status": "x"}})
    await restarted(office)
    await office.markers.mark(GROUP, given, "why", "an event", LATER)
    reads = 0

    async def change() -> None:
        nonlocal reads
        reads += 1
        if reads == 2:
            await office.markers.mark(GROUP, taken, "why", "an event", LATER)
            await office.markers.clear(GROUP, given)

    await office.recounts.ask()
    await office.recounter.look(lambda: office.table, Watched(office, then=change))
    await office.markers.clear(GROUP, taken)
    left = [drift.subject for drift in await office.parity.find(None) if not drift.subject.startswith("partition")]
    assert left == [taken]


async def test_a_recount_that_fails_comes_back_ever_later(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """Each attempt reads a partition from its beginning: few in an hour, however it fails, and each failure is told."""
    began, attempts, over = office.environment.now(), list[float](), asyncio.Event()

    async def fail() -> None:
        attempts.append((office.environment.now() - began).total_seconds())
        if attempts[-1] > AN_HOUR:
            over.set()
            await asyncio.Event().wait()
        raise (BrokerUnavailable("x"), TimeoutError(), ValueError("x"))[len(attempts) % 3]

    await office.recounts.ask()
    running = asyncio.create_task(office.recounter.run(lambda: office.table, lambda: Watched(office, fail)))
    await over.wait()
    running.cancel()
    assert attempts[0] == recount.LOOK_SECONDS
    assert len(attempts) < 25
    told = {record.message for record in caplog.records if record.levelname in {"WARNING", "ERROR"}}
    assert told == {"recount_waits", "recount_held_too_long", "recount_failed"}


async def test_after_a_recount_the_next_one_is_soon_begun(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures of before delay no later request."""
    failures, done, finish = [BrokerUnavailable("x")] * 5, asyncio.Event(), office.recounts.finish

    async def fail() -> None:
        if failures:
            raise failures.pop()

    async def finished(partition: int, number: int, owner: str) -> bool:
        noted = await finish(partition, number, owner)
        if (await office.recounts.state()).is_done(number, PARTITIONS):
            done.set()
        return noted

    monkeypatch.setattr(office.recounts, "finish", finished)
    running = asyncio.create_task(office.recounter.run(lambda: office.table, lambda: Watched(office, fail)))
    for number in (1, 2):
        done.clear()
        assert await office.recounts.ask() == number
        asked = office.environment.now()
        await done.wait()
    running.cancel()
    assert (office.environment.now() - asked).total_seconds() <= 2 * recount.LOOK_SECONDS


async def test_holding_events_has_an_end(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the records cannot be swapped in time, events are let go, nothing is replaced, and the log says just that."""
    monkeypatch.setattr(recount, "HOLD_SECONDS", 0.01)
    held, again = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        if office.recounter.handling.locked():
            held.set()
            await asyncio.Event().wait()
        elif held.is_set():
            again.set()

    await office.recounts.ask()
    running = asyncio.create_task(office.recounter.run(lambda: office.table, lambda: Watched(office, hang)))
    await again.wait()
    running.cancel()
    assert "recount_held_too_long" in {record.message for record in caplog.records}
    assert office.recounts.done == {}
    assert all(recount_of(load(value)) == 0 for value in office.table.values())
