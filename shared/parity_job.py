"""The scheduled comparison of a service's books: by one replica at a time, over a bounded stretch of time.

Each look goes back a little more than two intervals, so that what one look misses the next one sees; a comparison of
everything is the operators' command. Reports by metric and log, and repairs if the installation says so.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.environment import Environment
from shared.errors import Transient
from shared.meters import record_parity
from shared.parity import KINDS, Drift
from shared.store.small import MongoLeases

log = logging.getLogger(__name__)

MARGIN: Final = timedelta(minutes=10)
LOGGED: Final = 20


class Comparison(Protocol):
    """Two books. Raises `Transient`."""

    async def find(self, since: datetime | None) -> list[Drift]:
        """Return what they tell differently of what was written since then."""
        ...

    async def repair(self, drifts: Sequence[Drift], since: datetime | None) -> int:
        """Mend what can be mended; return how many drifts that concerned."""
        ...


@dataclass
class ParityJob:
    """Compares every `seconds`; 0 means never."""

    service: str
    comparisons: Sequence[Comparison]
    leases: MongoLeases
    environment: Environment
    seconds: float
    repairs: bool
    holder: str = field(init=False)

    def __post_init__(self) -> None:
        self.holder = f"{os.getpid()}-{self.environment.token(5)}"

    async def run(self) -> None:
        """Compare for ever, one replica per interval."""
        if not self.seconds:
            await asyncio.Event().wait()
        while True:
            await self.environment.sleep(self.seconds * (0.9 + 0.2 * self.environment.random()))
            try:
                await self.look()
            except Transient as error:
                log.warning("parity_waits", extra={"reason": type(error).__name__})

    async def look(self) -> list[Drift]:
        """Compare once, unless another replica did; return what was found."""
        mine = await self.leases.acquire(f"parity/{self.service}", self.holder, timedelta(seconds=self.seconds * 0.8))
        since = self.environment.now() - timedelta(seconds=2 * self.seconds) - MARGIN
        found = [drift for one in self.comparisons for drift in await one.find(since)] if mine else []
        counted = Counter(drift.kind for drift in found)
        for kind in KINDS:
            record_parity(kind, counted[kind])
        for drift in found[:LOGGED]:
            log.error("parity_drift", extra={"kind": drift.kind, "subject": drift.subject, "reason": drift.text})
        if self.repairs and any(drift.repairable for drift in found):
            for one in self.comparisons:
                await one.repair(found, since)
        return found
