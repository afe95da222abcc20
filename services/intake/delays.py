"""Which providers keep dossiers waiting, as the dossiers themselves tell: since when, how many. Asks nobody else."""

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from services.intake.state import Dossier
from shared.circuit import unreachable
from shared.contracts.status import Language
from shared.environment import Environment, parse_timestamp
from shared.errors import StorageUnavailable
from shared.journal.model import Head
from shared.store.journals import MongoJournalStore
from shared.store.mongo import ASCENDING, Database, translated

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 3.0
MOST: Final = 1000
DELAYED: Final = "delayed"
PROVIDERS: Final = {"identity": "register", "evidence": "register", "payment": "psp"}
"""Step kind -> the provider it waits for."""


class Delay(NamedTuple):
    """A provider's outage as dossiers feel it."""

    provider: str
    since: datetime
    waiting: int


async def prepare_delays(database: Database, collection: str) -> None:
    """Index the delayed dossiers only, so that the many others cost nothing. Raises `StorageUnavailable`."""
    with translated():
        await database[collection].create_index(
            [("state.status", ASCENDING)], name=DELAYED, partialFilterExpression={"state.status": DELAYED}
        )


class Delays:
    """The outages that dossiers wait for now, at most a few seconds old."""

    def __init__(self, store: MongoJournalStore, environment: Environment) -> None:
        self._store = store
        self._environment = environment
        self._known: dict[str, Delay] = {}

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._environment.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StorageUnavailable:
                log.warning("delays_not_read")

    async def look(self) -> None:
        """Count the dossiers that wait."""
        heads: list[Head] = await self._store.find({"state.status": DELAYED}, by="state.submitted_at", limit=MOST)
        self._known = summed([Dossier.model_validate(head.state) for head in heads])

    def sentence(self, dossier: Dossier, language: Language) -> str | None:
        """Say what a delayed dossier waits for; None if it waits for no provider."""
        own = next(delays_of(dossier), None)
        if own is None:
            return None
        delay = self._known.get(own.provider, own)
        since = min(own.since, delay.since)
        return unreachable(delay.provider, since, max(1, delay.waiting), self._environment.now())[language]


def summed(dossiers: list[Dossier]) -> dict[str, Delay]:
    """Return each provider's outage: since the first of its dossiers began to wait."""
    found: dict[str, Delay] = {}
    for dossier in dossiers:
        for own in {one.provider: one for one in delays_of(dossier)}.values():
            known = found.get(own.provider, Delay(own.provider, own.since, 0))
            found[own.provider] = Delay(own.provider, min(known.since, own.since), known.waiting + 1)
    return found


def delays_of(dossier: Dossier) -> Iterator[Delay]:
    """Yield the delays of a dossier's open steps."""
    for step_id, step in dossier.steps.items():
        request = dossier.request_of(step_id)
        if not step.done and request and request.delayed_since and step.kind in PROVIDERS:
            yield Delay(PROVIDERS[step.kind], parse_timestamp(request.delayed_since), 1)
