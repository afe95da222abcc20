"""What is noted every five seconds of a soak, and which of it counts. Data only; measures nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Phase = Literal["seeking", "draining", "holding"]
SAMPLE_SECONDS: Final = 5.0
WARM_UP: Final = 0.2
"""Share of the held time that counts for nothing: pools, caches and heaps fill up."""


@dataclass(frozen=True)
class Look:
    """What is to be seen of a running stack at one moment.

    `rss` bytes and `cpu` seconds of each process; `lag`, `due`: age in seconds of the oldest event not dealt with and
    of the oldest work that is due; `backlog`: aggregates with unpublished events; `silent`: workers that told nothing
    for five seconds; bytes of all journals, of all MongoDB data before compression, of all event topics.
    """

    rss: Mapping[str, int]
    cpu: Mapping[str, float]
    lag: float
    due: float
    backlog: int
    silent: Sequence[str]
    journals: int
    data: int
    topics: int


@dataclass(frozen=True)
class Sample(Look):
    """A look, `seconds` after the first dossier: `rate` dossiers handed in a second, journeys `begun` and `ended`."""

    seconds: float
    phase: Phase
    rate: float
    begun: int
    ended: int

    @property
    def under_way(self) -> int:
        """Dossiers whose citizen still waits."""
        return self.begun - self.ended


def held(samples: Sequence[Sample]) -> list[Sample]:
    """Return those at the held rate."""
    return [sample for sample in samples if sample.phase == "holding"]


def steady(samples: Sequence[Sample]) -> list[Sample]:
    """Return those at the held rate after the warm-up."""
    found = held(samples)
    if not found:
        return []
    first, last = found[0].seconds, found[-1].seconds
    return [sample for sample in found if sample.seconds >= first + WARM_UP * (last - first)]
