"""The work loop's limits: circuits before providers, places per kind."""

import asyncio
from datetime import timedelta

from shared.circuit import CIRCUIT_FAILURES, CIRCUIT_SECONDS
from shared.errors import Permanent, ProviderUnavailable, StorageUnavailable
from shared.journal import Task
from shared.work import Done, Performer, WorkLoop
from tests.unit.sample_journal import CALL, CANCELLED, RING, Tally, add, command, noted
from tests.unit.work_office import Office, gave_up


async def test_a_circuit_lets_one_call_through_now_and_then() -> None:
    """After several failures in a row the provider is left in peace; one call tests it, and success opens the way."""
    office = Office(provider="psp")
    subjects = [f"d{number}" for number in range(10)]
    await office.open(*subjects)
    office.provider.fails_with(ProviderUnavailable("away"))
    await office.work()
    failures = len(office.provider.asked)
    assert failures >= CIRCUIT_FAILURES
    assert await office.work(CIRCUIT_SECONDS - 1) == 0
    assert await office.work(1) == 1
    assert await office.work() == 0
    office.provider.answer = None
    assert await office.work(CIRCUIT_SECONDS) == 1
    assert await office.work() == len(subjects) - 1
    assert [await office.total(subject) for subject in subjects] == [1] * len(subjects)


async def test_a_permanent_error_closes_the_circuit() -> None:
    """A provider that refuses is there: the next calls need not go one by one."""
    office = Office(provider="psp")
    await office.open(*(f"d{number}" for number in range(8)))
    office.provider.fails_with(ProviderUnavailable("away"))
    await office.work()
    office.provider.fails_with(Permanent("no such card"))
    assert await office.work(60) == 1
    assert await office.work() == 7


async def test_an_absent_store_does_not_open_the_circuit() -> None:
    """Our own database's outage says nothing about the provider."""
    office = Office(provider="psp")
    await office.open(*(f"d{number}" for number in range(CIRCUIT_FAILURES)))
    office.provider.fails_with(StorageUnavailable("away"))
    await office.work()
    office.provider.answer = None
    assert await office.work(5) == CIRCUIT_FAILURES


async def test_each_kind_has_its_own_places() -> None:
    """At most `places` pieces at once; the rest follows when one is over."""
    office = Office(places=2)
    await office.open("d1", "d2", "d3")
    gate = asyncio.Event()

    async def wait(_task: Task[Tally]) -> Done[Tally]:
        await gate.wait()
        return Done(add(noted(1)))

    office.provider.answer = wait
    assert await office.loop.start_due() == 2
    assert await office.loop.start_due() == 0
    gate.set()
    await office.loop.settle()
    assert await office.work() == 1


async def test_a_backlog_of_one_kind_hides_no_other() -> None:
    """A thousand due calls do not keep a due timer waiting."""
    office = Office(places=2)
    rung: list[str] = []

    async def ring(task: Task[Tally]) -> Done[Tally]:
        rung.append(task.id)
        return Done()

    performers = {CALL: office.performer, RING: Performer(ring, gave_up, places=2)}
    loop = WorkLoop(office.journal, performers, office.environment)
    await office.open(*(f"d{number:03}" for number in range(40)))
    await office.journal.record("z", add(CANCELLED), command("c"), creates=True)
    office.environment.advance(timedelta(hours=1))
    await loop.start_due()
    await loop.settle()
    assert rung == ["z:1/ring"]
