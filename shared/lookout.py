"""The lookout: asks the database every few seconds how much waits and for how long, for Prometheus. Changes nothing.

Every replica of a worker asks and tells the same, so that queries take the maximum and none is counted twice.
"""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.environment import Environment, parse_timestamp, timestamp
from shared.errors import StorageUnavailable
from shared.logs import error_types
from shared.meters import record_dead_letters, record_relay_backlog, record_work_backlog
from shared.store.figures import Figures, Letters, Waiting

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 30.0
"""Whatever one slow answer took: who is blind for longer learns of nothing else."""
SHARE: Final = 20
"""Looking may take a twentieth of the time: a database that needs longer to answer is asked less often."""

Question = Callable[[], Awaitable[None]]

REASONS: Final = ("refused", "failed")
_ERROR_TYPE: Final = re.compile(r"[A-Z][A-Za-z]*")


@dataclass
class Lookout:
    """Asks its questions for ever; each notes its answer as gauges."""

    environment: Environment
    questions: list[Question] = field(default_factory=list)

    async def run(self) -> None:
        """Ask, then pause."""
        while True:
            took = sum([await self._ask(question) for question in self.questions])
            await self.environment.sleep(min(max(LOOK_SECONDS, SHARE * took), LONGEST_SECONDS))

    async def _ask(self, question: Question) -> float:
        """Return how many seconds an answer took, 0 for none: a database that is back is looked at soon."""
        began = time.monotonic()
        try:
            await question()
        except StorageUnavailable:
            # The last answer stays: without its database nothing moves on, and ages grow by themselves.
            log.warning("lookout_waits")
        except Exception as error:  # noqa: BLE001 - watching must never break what it watches
            log.warning("lookout_failed", extra={"error_type": error_types(error)})
        else:
            return time.monotonic() - began
        return 0.0


def relay_backlog(figures: Figures, collection: str, kind: str) -> Question:
    """Ask how many aggregates of this kind have unpublished events."""

    async def ask() -> None:
        found = await figures.unpublished(collection)
        record_relay_backlog(kind, found.count, _epoch(found.oldest))

    return ask


def work_backlog(
    figures: Figures, collection: str, providers: Mapping[str, str | None], environment: Environment
) -> Question:
    """Ask how much work is due or comes later, by kind; of kinds without a provider, such as timers, what is due."""
    calls = tuple(kind for kind, provider in providers.items() if provider)
    others = tuple(kind for kind in providers if kind not in calls)

    async def ask() -> None:
        found = await figures.work(collection, calls, others, timestamp(environment.now()))
        for kind, provider in providers.items():
            due, later = found.get((kind, True), Waiting()), found.get((kind, False), Waiting())
            record_work_backlog(kind, provider or "none", due.count, later.count, _epoch(due.oldest))

    return ask


def dead_letters(figures: Figures, group: str) -> Question:
    """Ask what this consumer group has set aside."""

    async def ask() -> None:
        for reason, found in by_reason(await figures.dead_letters(group)).items():
            record_dead_letters(group, reason, found.dossiers, found.letters, _epoch(found.oldest))

    return ask


def by_reason(found: Iterable[tuple[str, Letters]]) -> dict[str, Letters]:
    """Sum up by kind of reason: an error's bare type is a program's fault, a text one of our own refusals."""
    summed = dict.fromkeys(REASONS, Letters())
    for text, letters in found:
        reason = "failed" if _ERROR_TYPE.fullmatch(text) else "refused"
        summed[reason] = summed[reason].plus(letters)
    return summed


def _epoch(moment: str | None) -> float | None:
    return parse_timestamp(moment).timestamp() if moment else None
