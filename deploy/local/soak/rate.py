"""The highest steady rate: raised step by step until people or events wait ever longer. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deploy.local.soak.samples import Sample
from shared.lookout import LONGEST_SECONDS

FIRST_RATE: Final = 0.5
STEP: Final = 1.25
STEPS: Final = 12
LEAST_STEP_SECONDS: Final = 10.0
SHARE: Final = 0.8
"""Of the highest rate this much is held: a queue that is always full would grow by chance alone."""
LONGEST_JOURNEY_SECONDS: Final = 20.0
"""A journey takes 5 to 10 s when nothing waits: its citizen looks once a second, in three to five places."""
LONGEST_LAG_SECONDS: Final = 10.0
WINDOW_SECONDS: Final = 40.0


@dataclass(frozen=True)
class Search:
    """How long a search may take, and how long each of its steps lasts, in seconds."""

    seconds: float
    step_seconds: float

    @classmethod
    def within(cls, minutes: float) -> "Search":
        """Return the search before so many minutes are held: a quarter of them, at least 80 s, at most 4 minutes."""
        seconds = min(240.0, max(80.0, minutes * 60 / 4))
        return cls(seconds, max(LEAST_STEP_SECONDS, seconds / STEPS))

    def rate(self, passed: float) -> float:
        """Return dossiers a second after so many seconds of searching."""
        return FIRST_RATE * float(STEP ** int(passed / self.step_seconds))


def longest_due(lag: float) -> float:
    """Return how old due work may look, in seconds, where events may wait so long.

    Roles ask for due work every 5 s, a slow database every 30 s; what was due at the last look ages until the next.
    """
    return LONGEST_SECONDS + lag


def overrun(sample: Sample) -> str | None:
    """Return why this rate is too high (what waits too long), None while it is not."""
    if sample.lag > LONGEST_LAG_SECONDS:
        return f"events waited {sample.lag:.0f} s"
    if sample.due > longest_due(LONGEST_LAG_SECONDS):
        return f"work waited {sample.due:.0f} s"
    if sample.silent:
        return f"no figures from {', '.join(sample.silent)}"
    # Little's law: who is under way, divided by the rate, is how long a journey takes.
    if sample.under_way > sample.rate * LONGEST_JOURNEY_SECONDS:
        return f"a journey took {sample.under_way / sample.rate:.0f} s"
    return None


def highest(samples: Sequence[Sample]) -> float:
    """Return the most dossiers a second that ended over any 40 s of the search; never more than were handed in then."""
    best = 0.0
    for number, late in enumerate(samples):
        window = [early for early in samples[:number] if early.seconds <= late.seconds - WINDOW_SECONDS]
        if window:
            early = window[-1]
            best = max(best, (late.ended - early.ended) / (late.seconds - early.seconds))
    return min(best, max((sample.rate for sample in samples), default=0.0))
