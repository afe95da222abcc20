"""The work loop: claiming, finishing, backing off, giving up, timers."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.contracts.event import Event
from shared.environment import parse_timestamp, timestamp
from shared.errors import Permanent, ProviderUnavailable, StorageUnavailable
from shared.journal import Recorded, Task, Work
from shared.work import LEASE, Again, Done, Performer, WorkLoop, timer
from tests.unit.sample_journal import CALL, OPENED, TALLY, Tally, add, command, noted
from tests.unit.work_office import REASONS, Office, Provider, gave_up, until


async def test_work_is_done_once_with_its_id_as_key() -> None:
    """What is due is performed with the intent's id, its outcome is saved, and it does not come again."""
    office = Office()
    await office.open("d1")
    assert await office.work() == 1
    assert office.provider.asked == ["d1:1/call"]
    assert await office.total() == 1
    assert await office.work(3600) == 0


async def test_an_absent_provider_is_asked_again_later() -> None:
    """A transient failure backs off longer each time, within a quarter, and nothing is lost."""
    office = Office()
    await office.open("d1")
    office.provider.fails_with(ProviderUnavailable("away"))
    for attempt in range(1, 6):
        assert await office.work() == 1
        due = parse_timestamp(office.store.documents["d1"]["work"][0]["due_at"]) - office.environment.now()
        assert 0.74 * 2 ** (attempt - 1) <= due.total_seconds() <= 1.26 * 2 ** (attempt - 1)
        assert await office.work(due.total_seconds() - 0.01) == 0
        office.environment.advance(timedelta(seconds=0.02))
    office.provider.answer = None
    assert await office.work() == 1
    assert await office.total() == 1


async def test_backing_off_has_an_end() -> None:
    """However often it failed, the pause does not exceed the performer's longest."""
    office = Office(longest_backoff_seconds=8)
    await office.open("d1")
    office.provider.fails_with(ProviderUnavailable("away"))
    for _ in range(8):
        assert await office.work(10) == 1


async def test_a_delay_is_recorded_along() -> None:
    """The performer says what to record while the provider is away, such as a visible delay at the second attempt."""
    office = Office(delayed=lambda task: add(noted(50)) if task.attempts == 2 else None)
    await office.open("d1")
    office.provider.fails_with(ProviderUnavailable("away"))
    totals = []
    for _ in range(4):
        await office.work(20)
        totals.append(await office.total())
    assert totals == [0, 50, 50, 50]


async def test_a_provider_that_hangs_is_given_up_on_for_now() -> None:
    """A call that takes too long counts as transient."""
    office = Office(timeout_seconds=0.01)
    await office.open("d1")

    async def hang(_task: Task[Tally]) -> Done[Tally]:
        await asyncio.Event().wait()
        raise AssertionError

    office.provider.answer = hang
    assert await office.work() == 1
    assert await office.total() == 0
    office.provider.answer = None
    assert await office.work(2) == 1
    assert await office.total() == 1


async def test_a_timeout_beyond_the_lease_is_refused() -> None:
    """Otherwise another would begin while the first is still at it."""
    with pytest.raises(ValueError, match="lease"):
        Performer(Provider().perform, gave_up, timeout_seconds=LEASE.total_seconds())


@pytest.mark.parametrize("error", [Permanent("no such person"), KeyError("bug")])
async def test_a_permanent_error_ends_visibly(error: Exception) -> None:
    """The work ends with what the performer records for failure; it is not tried again."""
    office = Office()
    await office.open("d1")
    office.provider.fails_with(error)
    await office.work()
    assert await office.total() == REASONS["failed"]
    assert await office.work(3600) == 0


async def test_too_old_work_is_not_performed() -> None:
    """Past its not-after time the provider is not even asked, and the end is recorded."""
    office = Office()
    await office.open("d1")
    office.environment.advance(timedelta(hours=1, seconds=1))
    await office.work()
    assert office.provider.asked == []
    assert await office.total() == REASONS["too_old"]


async def test_again_keeps_the_work_and_records() -> None:
    """A performer may come back after a time of its own choice, recording something meanwhile."""
    office = Office()
    await office.open("d1")

    async def poll(task: Task[Tally]) -> Done[Tally] | Again[Tally]:
        return Again(after=30, decide=add(noted(7))) if task.attempts == 1 else Done(add(noted(1)))

    office.provider.answer = poll
    await office.work()
    assert await office.total() == 7
    assert await office.work(29) == 0
    assert await office.work(1) == 1
    assert await office.total() == 8


async def test_a_crash_ends_with_the_lease() -> None:
    """Work whose holder died is taken by another when its lease is over, and not before."""
    office = Office()
    await office.open("d1")
    assert await office.journal.claim("d1", "d1:1/call", LEASE) is not None
    assert await office.work(LEASE.total_seconds() - 1) == 0
    assert await office.work(1) == 1
    assert await office.total() == 1


async def test_an_outcome_that_could_not_be_saved_is_done_again_with_the_same_key() -> None:
    """The store went away after the call: after the lease it is performed again under the same idempotency key."""
    office = Office()
    await office.open("d1")

    async def and_then_the_store_is_away(_task: Task[Tally]) -> Done[Tally]:
        office.store.away = True
        return Done(add(noted(1)))

    office.provider.answer = and_then_the_store_is_away
    await office.work()
    office.store.away, office.provider.answer = False, None
    assert await office.work(LEASE.total_seconds()) == 1
    assert office.provider.asked == ["d1:1/call"] * 2
    assert await office.total() == 1


async def test_an_absent_store_is_told_to_the_caller() -> None:
    """Asking what is due fails as transient; the endless loop waits and goes on."""
    office = Office()
    office.store.away = True
    with pytest.raises(StorageUnavailable):
        await office.loop.start_due()
    running = asyncio.create_task(office.loop.run())
    await until(lambda: office.environment.next_due() is not None)
    office.store.away = False
    await office.open("d1")
    office.environment.advance(timedelta(seconds=1))
    await until(lambda: office.provider.asked == ["d1:1/call"])
    running.cancel()


async def test_saved_work_is_looked_at_at_once() -> None:
    """Work saved in this process does not wait for the next poll."""
    office = Office()
    office.journal.listen(office.loop)
    running = asyncio.create_task(office.loop.run())
    await until(lambda: office.environment.next_due() is not None)
    await office.open("d1")
    await until(lambda: office.provider.asked == ["d1:1/call"])
    running.cancel()


async def test_a_timer_rings_at_its_time() -> None:
    """A timer records what its event function says of the state then, or nothing, and is gone."""

    def plan(_state: Tally, recorded: Recorded) -> tuple[Work, ...]:
        at = timestamp(parse_timestamp(recorded.time) + timedelta(days=1))
        return (Work(CALL, due_at=at),) if recorded.event == OPENED else ()

    office = Office(replace(TALLY, plan=plan))
    rings = timer(_nine_at_most)
    office.loop = WorkLoop(office.journal, {CALL: Performer(rings, gave_up)}, office.environment)
    await office.open("d1", "d2")
    await office.journal.record("d2", add(noted(9)), command("k"))
    assert await office.work(86_399) == 0
    assert await office.work(1) == 2
    assert (await office.total("d1"), await office.total("d2")) == (9, 9)
    assert await office.work(86_400) == 0


def _nine_at_most(state: Tally) -> Event | None:
    return noted(9) if state.total < 9 else None
