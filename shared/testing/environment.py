"""A hand-moved clock and seeded randomness. It never reads the machine's clock; same seed, same run."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

from shared.environment import to_milliseconds
from shared.identifiers import crockford

START = datetime(2026, 11, 2, 7, 30, tzinfo=UTC)


class FakeEnvironment:
    """An `Environment` whose time moves only through `advance`, and whose randomness comes from `seed`."""

    def __init__(self, start: datetime = START, seed: int = 0) -> None:
        self._now = to_milliseconds(start)
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, tests only
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The fake's time, cut to milliseconds."""
        return to_milliseconds(self._now)

    def token(self, nbytes: int = 16) -> str:
        """Seeded text."""
        return crockford(self.entropy(nbytes))

    def entropy(self, nbytes: int) -> bytes:
        """Seeded bytes."""
        return self._random.randbytes(nbytes)

    def random(self) -> float:
        """A seeded number in [0, 1)."""
        return self._random.random()

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has moved the clock by so many seconds; zero only lets others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        entry = (self._now + timedelta(seconds=seconds), asyncio.get_running_loop().create_future())
        self._sleepers.append(entry)
        try:
            await entry[1]
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)

    def advance(self, by: timedelta) -> None:
        """Move the clock and wake, earliest first, whoever is due. Sleepers run when the caller next awaits."""
        self._now += by
        due = sorted((entry for entry in self._sleepers if entry[0] <= self._now), key=lambda entry: entry[0])
        for _, future in due:
            if not future.done():
                future.set_result(None)

    def next_due(self) -> datetime | None:
        """When the next sleeper wants to wake, or None when nobody sleeps."""
        return min((when for when, future in self._sleepers if not future.done()), default=None)
