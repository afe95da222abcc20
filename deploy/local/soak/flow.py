"""Dossiers at a rate, whether or not earlier ones are done: nobody waits for others before handing in a request."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from deploy.local.journeys.crowd import Crowd, mixed
from deploy.local.journeys.endings import JOURNEYS, Journey

KINDS_IN_TURN = len(JOURNEYS) - 1
"""So many journeys in a row hold every kind once; the one that lets a deadline pass is left out."""


@dataclass
class Flow:
    """Starts journeys evenly at `rate` a second (0: none). `begun`: how many so far."""

    crowd: Crowd
    rate: float = 0.0
    begun: int = 0
    broken: list[str] = field(default_factory=list)
    _under_way: set["asyncio.Task[None]"] = field(default_factory=set)
    _turned: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ended(self) -> int:
        """How many journeys have come to an end, whichever."""
        return self.begun - len(self._under_way)

    @property
    def failures(self) -> list[str]:
        """Which journeys did not end as they should."""
        return [*self.crowd.failures, *self.broken]

    def turn(self, rate: float) -> None:
        """Hand in at another rate from now on."""
        if rate != self.rate:
            self.rate = rate
            self._turned.set()

    async def run(self) -> None:
        """Hand in for ever."""
        waiting = _kinds()
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if self.rate and due <= loop.time():
                self._begin(next(waiting))
                due += 1 / self.rate
            elif await self._turned_before(due - loop.time() if self.rate else None):
                due = loop.time()

    async def drain(self, seconds: float) -> None:
        """Wait for those under way, at most so long; who is not done by then is sent home."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=seconds)
            for task in late:
                task.cancel()
                self.broken.append("a journey was not over in time")

    def _begin(self, journey: Journey) -> None:
        self.begun += 1
        task = asyncio.create_task(self.crowd.play([journey]))
        self._under_way.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.broken.append(f"a journey broke off: {type(error).__name__}")

    async def _turned_before(self, seconds: float | None) -> bool:
        """Return whether the rate changed within so many seconds (None: however long it takes)."""
        try:
            await asyncio.wait_for(self._turned.wait(), seconds)
        except TimeoutError:
            return False
        self._turned.clear()
        return True


def _kinds() -> Iterator[Journey]:
    for seed in itertools.count():
        yield from mixed(KINDS_IN_TURN, seed, hasty=False)
