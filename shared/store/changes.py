"""Waking whoever waits for a dossier's next event: one change stream a process. Reads no content."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shared.environment import Environment
from shared.errors import StorageUnavailable
from shared.store.mongo import Collection, translated

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class Changes:
    """Tells who listens to a subject that its journal grew. A lost stream wakes everybody, so nothing is missed."""

    def __init__(self, journals: Collection, environment: Environment) -> None:
        self._journals = journals
        self._environment = environment
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    @asynccontextmanager
    async def listening(self, subject: str) -> AsyncIterator[asyncio.Event]:
        """Yield an event that is set whenever the subject may have changed."""
        woken = asyncio.Event()
        self._waiting[subject].add(woken)
        try:
            yield woken
        finally:
            self._waiting[subject].discard(woken)
            if not self._waiting[subject]:
                del self._waiting[subject]

    async def run(self) -> None:
        """Follow the collection for ever."""
        while True:
            try:
                await self._follow()
            except StorageUnavailable as error:
                log.warning("change_stream_lost", extra={"reason": str(error)})
            for subject in list(self._waiting):
                self._wake(subject)
            await self._environment.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        wanted: list[dict[str, Any]] = [
            {"$match": {"operationType": {"$in": ["insert", "update"]}}},
            {"$project": {"documentKey": 1}},
        ]
        with translated():
            async with self._journals.watch(wanted) as stream:
                async for change in stream:
                    self._wake(change["documentKey"]["_id"])

    def _wake(self, subject: str) -> None:
        for woken in self._waiting.get(subject, ()):
            woken.set()
