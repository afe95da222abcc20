"""Timers on the real calendar: across changes of the clock and a leap day, over restarts, once among replicas.

A dossier waits 30 days for its applicant. Three replicas of the worker look every few hours; each look is by new ones,
as after a restart, and all at the same time.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from services.intake import domain
from services.intake.state import Dossier
from services.intake.work import Desk as Work
from shared.calendar import Deadline, expected_by
from shared.environment import parse_timestamp, timestamp
from shared.journal import Task
from shared.testing.environment import FakeEnvironment
from shared.work import Done, Performer, WorkLoop
from tests.unit.intake_desk import CATALOGUE, DOSSIER, Desk

ZURICH = ZoneInfo("Europe/Zurich")
REPLICAS = 3


class Office:
    """A dossier that waits for its applicant's consent, and the replicas that keep its deadline."""

    def __init__(self, start: datetime) -> None:
        self.environment = FakeEnvironment(start)
        self.desk = Desk(self.environment)
        self.work = Work(CATALOGUE, cast("Any", None), cast("Any", None), self.environment, cast("Any", None))
        self.rung: list[datetime] = []

    async def submit(self) -> datetime:
        """Hand the dossier in; return when its deadline rings."""
        await self.desk.submit("residence-certificate")
        await self.desk.tell("identity", "confirmed", 1)
        dossier = await self.desk.dossier()
        assert (dossier.status, dossier.waiting_for) == ("consent_needed", "applicant")
        (work,) = [one for one in self.desk.store.documents[DOSSIER]["work"] if one["kind"] == domain.DEADLINE]
        return parse_timestamp(work["due_at"])

    async def look(self) -> None:
        """Let new replicas look, all at once, and do what is due."""
        performer = Performer(self._ring, lambda _task, _reason: domain.expire(""))
        loops = [WorkLoop(self.desk.journal, {domain.DEADLINE: performer}, self.environment) for _ in range(REPLICAS)]
        await asyncio.gather(*(loop.start_due() for loop in loops))
        await asyncio.gather(*(loop.settle() for loop in loops))

    async def _ring(self, task: Task[Dossier]) -> Done[Dossier]:
        self.rung.append(self.environment.now())
        await asyncio.sleep(0)
        return await self.work.ring(task)


@pytest.mark.parametrize(
    ("handed_in", "due"),
    [
        (datetime(2026, 3, 5, 10, tzinfo=ZURICH), "2026-04-04T08:00:00.000Z"),  # an hour less, on 29 March
        (datetime(2026, 10, 1, 10, tzinfo=ZURICH), "2026-10-31T09:00:00.000Z"),  # an hour more, on 25 October
        (datetime(2028, 2, 10, 10, tzinfo=ZURICH), "2028-03-11T09:00:00.000Z"),  # over 29 February
        (datetime(2027, 2, 10, 10, tzinfo=ZURICH), "2027-03-12T09:00:00.000Z"),  # without one
    ],
)
async def test_a_deadline_rings_once_at_its_time_of_day(handed_in: datetime, due: str) -> None:
    """At ten in the morning of the thirtieth day as Zurich's clock shows it: not a moment earlier, and only once."""
    office = Office(handed_in)
    rings_at = await office.submit()
    assert timestamp(rings_at) == due
    assert rings_at.astimezone(ZURICH).hour == 10
    while office.environment.now() + timedelta(hours=7) < rings_at:
        office.environment.advance(timedelta(hours=7))
        await office.look()
    office.environment.advance(rings_at - office.environment.now() - timedelta(milliseconds=1))
    await office.look()
    assert office.rung == []
    office.environment.advance(timedelta(milliseconds=1))
    for _ in range(10):
        await office.look()
        office.environment.advance(timedelta(hours=7))
    assert office.rung == [rings_at]
    assert (await office.desk.words()).count("dossier_expired") == 1


async def test_a_deadline_that_passed_while_nobody_ran_rings_at_the_next_start() -> None:
    """Everything was down over the change of the clock: the first look afterwards rings, and no later one."""
    office = Office(datetime(2026, 3, 5, 10, tzinfo=ZURICH))
    rings_at = await office.submit()
    office.environment.advance(timedelta(days=45))
    await office.look()
    await office.look()
    assert len(office.rung) == 1
    assert office.rung[0] > rings_at


async def test_a_deadline_whose_status_has_moved_on_does_nothing() -> None:
    """The applicant withdrew in time: when the timer rings, nothing follows."""
    office = Office(datetime(2028, 2, 10, 10, tzinfo=ZURICH))
    rings_at = await office.submit()
    await office.desk.ask(domain.withdraw())
    office.environment.advance(rings_at - office.environment.now())
    await office.look()
    assert "dossier_expired" not in await office.desk.words()


def test_the_hour_that_comes_twice_rings_in_its_first_turn() -> None:
    """02:30 on 25 October 2026 is there twice: due is the first, one moment in UTC, so a timer rings once."""
    opened = datetime(2026, 10, 24, 2, 30, tzinfo=ZURICH)
    due = expected_by(opened, Deadline.parse("P1D"), "LU")
    assert timestamp(due) == "2026-10-25T00:30:00.000Z"


@pytest.mark.parametrize(
    ("opened", "days", "due"),
    [
        (datetime(2026, 3, 27, 16, tzinfo=ZURICH), "WD1", "2026-03-30T21:59:59.000Z"),  # summer time since Sunday
        (datetime(2026, 3, 27, 16, tzinfo=ZURICH), "WD2", "2026-03-31T21:59:59.000Z"),
        (datetime(2026, 10, 23, 16, tzinfo=ZURICH), "WD1", "2026-10-26T22:59:59.000Z"),  # winter time since Sunday
        (datetime(2026, 10, 25, 2, 30, tzinfo=ZURICH), "WD1", "2026-10-26T22:59:59.000Z"),
        (datetime(2028, 2, 28, 9, tzinfo=ZURICH), "WD1", "2028-02-29T22:59:59.000Z"),  # the leap day, a Tuesday
        (datetime(2028, 2, 29, 9, tzinfo=ZURICH), "WD1", "2028-03-01T22:59:59.000Z"),
        (datetime(2028, 2, 29, 9, tzinfo=ZURICH), "P30D", "2028-03-30T07:00:00.000Z"),  # and the change on 26 March
    ],
)
def test_promises_in_working_days_end_with_the_day(opened: datetime, days: str, due: str) -> None:
    """A promise ends with the last second of the working day in Zurich, whatever the offset is by then."""
    assert timestamp(expected_by(opened.astimezone(UTC), Deadline.parse(days), "LU")) == due
