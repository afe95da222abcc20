"""What citizens do meanwhile: a crowd that plays journeys, and canaries whose every wait is measured."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Any, Final

from deploy.local.chaos.figures import Canary
from deploy.local.journeys.audit import Played
from deploy.local.journeys.crowd import mixed
from deploy.local.journeys.endings import JOURNEYS, Journey
from deploy.local.journeys.town import Citizen, JourneyError, Town

SLIPS: Final = next(journey for journey in JOURNEYS if journey.name == "payment-slips")
PAUSE_SECONDS: Final = 1.0
MOST_FLYING: Final = 5
LOOK_SECONDS: Final = 0.5


def journeys(count: int, seed: int, slips: float) -> list[Journey]:
    """So many journeys in random order: this share of payment slips, of the rest every kind equally often."""
    simple = round(count * slips)
    chosen = [SLIPS] * simple + mixed(count - simple, seed, hasty=False)
    Random(seed).shuffle(chosen)  # noqa: S311 - an order of play, no secret
    return chosen


@dataclass
class Canaries:
    """Sends a small dossier along every second, five at once at most; notes every wait, and when it was done."""

    town: Town
    people: list[dict[str, Any]]
    clock: Callable[[], float]
    told: Callable[[Canary | None, Played], None]
    failures: list[str] = field(default_factory=list)

    async def fly(self, ended: asyncio.Event) -> None:
        """Send them until told to stop, then wait for those under way."""
        async with asyncio.TaskGroup() as flying:
            places = asyncio.Semaphore(MOST_FLYING)
            for person in cycle(self.people):
                await places.acquire()
                if ended.is_set():
                    break
                flying.create_task(self._one(person)).add_done_callback(lambda _: places.release())
                await asyncio.sleep(PAUSE_SECONDS)

    async def _one(self, person: dict[str, Any]) -> None:
        citizen = Citizen(self.town, person)
        pressed, started = self.clock(), time.monotonic()
        longest = 0.0
        waited = 0.0
        try:
            await citizen.submit("payment-slips", {"account": "fee", "count": 3, "amount_rappen": 12_500})
            waited = time.monotonic() - started
            until = time.monotonic() + self.town.patience
            while citizen.seen["ending"] is None and time.monotonic() < until:
                await asyncio.sleep(LOOK_SECONDS)
                asked = time.monotonic()
                await citizen.look()
                longest = max(longest, time.monotonic() - asked)
        except JourneyError as error:
            self.failures.append(f"canary: {error}")
        if not citizen.dossier:
            return
        ended = citizen.seen["ending"] is not None
        flown = Canary(round(pressed, 2), round(self.clock(), 2), round(waited, 3), round(longest, 3))
        self.told(flown if ended else None, Played(SLIPS.name, citizen.dossier, person["sub"], SLIPS.effects))
