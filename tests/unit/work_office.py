"""A journal with a work loop over it and a provider that answers as a test wants."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.journal import Aggregate, Decide, Journal, Task
from shared.testing.environment import FakeEnvironment
from shared.testing.store import MemoryJournalStore
from shared.work import Again, Done, Performer, WorkLoop
from tests.unit.sample_journal import CALL, OPENED, TALLY, Tally, add, command, journal_of, noted

Answer = Callable[[Task[Tally]], Awaitable[Done[Tally] | Again[Tally]]]
LOST = 1000


@dataclass
class Provider:
    """A provider whose answer each test chooses, and what it was asked."""

    answer: Answer | None = None
    asked: list[str] = field(default_factory=list)

    async def perform(self, task: Task[Tally]) -> Done[Tally] | Again[Tally]:
        """Answer as the test wants, by default with success."""
        self.asked.append(task.id)
        if self.answer is not None:
            return await self.answer(task)
        return Done(add(noted(1)))

    def fails_with(self, error: Exception) -> None:
        """From now on raise this."""

        async def fail(_task: Task[Tally]) -> Done[Tally]:
            raise error

        self.answer = fail


class Office:
    """A journal with a loop over it, on a hand-moved clock."""

    def __init__(self, aggregate: Aggregate[Tally] = TALLY, **performer: object) -> None:
        self.environment = FakeEnvironment()
        self.store = MemoryJournalStore()
        self.journal: Journal[Tally] = journal_of(self.store, self.environment, aggregate)
        self.provider = Provider()
        self.performer = replace(Performer(self.provider.perform, gave_up), **performer)  # type: ignore[arg-type]
        self.loop = WorkLoop(self.journal, {CALL: self.performer}, self.environment)

    async def open(self, *subjects: str) -> None:
        """Let these subjects want a call."""
        for subject in subjects:
            await self.journal.record(subject, add(OPENED), command("open"), creates=True)

    async def work(self, seconds: float = 0) -> int:
        """Let time pass, do what is due, and say how much it was."""
        self.environment.advance(timedelta(seconds=seconds))
        started = await self.loop.start_due()
        await self.loop.settle()
        return started

    async def total(self, subject: str = "d1") -> int:
        """What was recorded: one per success, a thousand and more per giving up."""
        outcome = await self.journal.state(subject)
        assert outcome is not None
        return outcome.state.total


REASONS = {"too_old": LOST + 1, "failed": LOST + 2}


def gave_up(_task: Task[Tally], reason: str) -> Decide[Tally]:
    """Record why."""
    return add(noted(REASONS[reason]))


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until the condition holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0)
