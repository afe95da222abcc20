"""Many journeys at once, a bounded number side by side. Owns who plays what, deterministically from a seed."""

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.local.journeys.audit import Played
from deploy.local.journeys.endings import JOURNEYS, Journey
from deploy.local.journeys.town import Citizen, JourneyError, Town


@dataclass
class Crowd:
    """Residents who play journeys. `failures` tells which did not end as they should."""

    town: Town
    people: Sequence[dict[str, Any]]
    side_by_side: int = 25
    played: list[Played] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    told: Callable[[Played], None] = lambda _played: None

    def __post_init__(self) -> None:
        self._clean = itertools.cycle([person for person in self.people if not person["has_debts"]])
        self._indebted = itertools.cycle([person for person in self.people if person["has_debts"]])

    async def play(self, journeys: Sequence[Journey]) -> None:
        """Play these journeys, each by a resident it fits."""
        places = asyncio.Semaphore(self.side_by_side)

        async def one(journey: Journey) -> None:
            async with places:
                await self._one(journey, next(self._indebted if journey.debts else self._clean))

        await asyncio.gather(*(one(journey) for journey in journeys))

    async def _one(self, journey: Journey, person: dict[str, Any]) -> None:
        citizen = Citizen(self.town, person)
        try:
            await journey.play(citizen)
        except JourneyError as error:
            self.failures.append(f"{journey.name}: {error}")
        if citizen.dossier:
            played = Played(journey.name, citizen.dossier, person["sub"], journey.effects)
            self.played.append(played)
            self.told(played)


async def residents(town: Town) -> list[dict[str, Any]]:
    """Return the grown-up residents whom name and birthday tell apart."""
    return [person for person in await town.people() if person["adult"] and not person["ambiguous_by_name"]]


def mixed(count: int, seed: int, *, hasty: bool = True) -> list[Journey]:
    """Return so many journeys in random order, every kind among them as often as the others."""
    kinds = [journey for journey in JOURNEYS if hasty or journey.name != "deadline-missed"]
    chosen = [kinds[index % len(kinds)] for index in range(count)]
    random.Random(seed).shuffle(chosen)  # noqa: S311  (an order of play, no secret)
    return chosen
