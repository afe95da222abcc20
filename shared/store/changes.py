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
AWAIT_MS = 250


class Changes:
    """Tells who listens to a subject that its journal grew. The stream is open only while somebody listens.

    Whoever came before it stood, or while it was lost, is woken when it stands, so nothing is missed.
    """

    def __init__(self, journals: Collection, environment: Environment) -> None:
        self._journals = journals
        self._environment = environment
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._wanted = asyncio.Event()

    @asynccontextmanager
    async def listening(self, subject: str) -> AsyncIterator[asyncio.Event]:
        """Yield an event that is set whenever the subject may have changed."""
        woken = asyncio.Event()
        self._waiting[subject].add(woken)
        self._wanted.set()
        try:
            yield woken
        finally:
            self._waiting[subject].discard(woken)
            if not self._waiting[subject]:
                del self._waiting[subject]
            if not self._waiting:
                self._wanted.clear()

    async def run(self) -> None:
        """Follow the collection whenever somebody listens, for ever."""
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
            except StorageUnavailable as error:
                log.warning("change_stream_lost", extra={"reason": str(error)})
                self._wake_all()
                await self._environment.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        """Follow until nobody listens any more."""
        grown = {"updateDescription.updatedFields.head": {"$exists": True}}
        wanted: list[dict[str, Any]] = [
            {"$match": {"$or": [{"operationType": "insert"}, grown]}},
            {"$project": {"documentKey": 1}},
        ]
        with translated():
            async with self._journals.watch(wanted, max_await_time_ms=AWAIT_MS) as stream:
                # Asked once, it stands: what came before that, the first change included, is told to everybody.
                await stream.try_next()
                self._wake_all()
                while self._waiting and stream.alive:
                    self._wake_for(await stream.try_next())

    def _wake_for(self, change: dict[str, Any] | None) -> None:
        if change is not None:
            self._wake(change["documentKey"]["_id"])

    def _wake_all(self) -> None:
        for subject in list(self._waiting):
            self._wake(subject)

    def _wake(self, subject: str) -> None:
        for woken in self._waiting.get(subject, ()):
            woken.set()
