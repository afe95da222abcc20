"""What is kept beside the journals, over the wires. See `store` for the journals."""

import copy
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.environment import Environment, timestamp
from shared.journal.model import Filling
from shared.parity import Drift
from shared.store.figures import Figures
from tests.simulation.scheduler import at_once
from tests.simulation.store import SimDatabase


class Remote:
    """A small collection: each method of what lies inside, over the wires."""

    def __init__(self, database: SimDatabase, inside: Any) -> None:
        self._database, self._inside = database, inside

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inside, name)

        async def call(*args: Any, **more: Any) -> Any:
            return await self._database.server.ask(lambda: copy.copy(at_once(method(*args, **more))))

        return call


class SimCircuits:
    """Stand for `MongoCircuits`: what operators read, and nobody here."""

    def __init__(self, *_: object) -> None:
        pass

    async def waiting(self, *_: object) -> int:
        """Count nothing."""
        return 0

    async def keep(self, *_: object) -> None:
        """Keep nothing."""

    async def forget(self, *_: object) -> None:
        """Forget nothing."""


def markers(database: SimDatabase) -> Any:
    """Stand for `MongoMarkers`."""
    return Remote(database, database.markers)


def recounts(database: SimDatabase) -> Any:
    """Stand for `MongoRecounts`."""
    return Remote(database, database.recounts)


class SimKeyStore:
    """Stand for `MongoKeyStore`: wrapped keys and tokens of people."""

    def __init__(self, database: SimDatabase) -> None:
        self._database = database

    async def insert(self, owner_id: str, wrapped: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Store the keys unless there are some."""
        return await self._database.server.ask(lambda: at_once(self._database.keys.insert(owner_id, wrapped)))

    async def get(self, owner_id: str) -> Mapping[str, bytes] | None:
        """Return the keys."""
        return await self._database.server.ask(lambda: at_once(self._database.keys.get(owner_id)))

    async def delete(self, owner_id: str) -> None:
        """Forget the keys."""
        await self._database.server.ask(lambda: at_once(self._database.keys.delete(owner_id)))

    async def alias(self, known: str, proposed: str) -> str:
        """Return the first proposal."""
        return await self._database.server.ask(lambda: self._database.aliases.setdefault(known, proposed))


class SimFiles:
    """Stand for `MongoFiles`."""

    def __init__(self, database: SimDatabase) -> None:
        self._database = database

    async def put(self, file_id: str, sealed: bytes) -> None:
        """Store a file unless it is there."""
        await self._database.server.ask(lambda: self._database.files.setdefault(file_id, sealed))

    async def get(self, file_id: str) -> bytes | None:
        """Return a file."""
        return await self._database.server.ask(lambda: self._database.files.get(file_id))


class SimLeases:
    """Stand for `MongoLeases`."""

    def __init__(self, database: SimDatabase, environment: Environment) -> None:
        self._database, self._environment = database, environment

    async def acquire(self, name: str, holder: str, length: timedelta) -> bool:
        """Take or prolong a lease."""
        now = self._environment.now()

        def take() -> bool:
            held, until = self._database.leases.get(name, (holder, ""))
            if held != holder and timestamp(now) <= until <= timestamp(now + length):
                return False
            self._database.leases[name] = (holder, timestamp(now + length))
            return True

        return await self._database.server.ask(take)


class SimInstallation:
    """Stand for `MongoInstallation`."""

    def __init__(self, database: SimDatabase) -> None:
        self._database = database

    async def filling(self) -> Filling | None:
        """Return the remembered filling."""
        return await self._database.server.ask(lambda: self._database.filling)

    async def remember(self, filling: Filling) -> None:
        """Remember the filling."""

        def write() -> None:
            self._database.filling = filling

        await self._database.server.ask(write)


class SimFigures(Figures):
    """Stand for `Figures`: nobody looks at figures here."""

    async def index(self, collection: str, field: str, only: Mapping[str, Any]) -> None:
        """Make no index."""

    async def ask(self, collection: str, pipeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Find nothing."""
        return []


class Agreement:
    """Stand for `Parity`: the books are compared by the invariants, once everything is at rest."""

    async def find(self, since: datetime | None) -> list[Drift]:
        """Find nothing."""
        return []

    async def repair(self, drifts: Sequence[Drift], since: datetime | None) -> int:
        """Repair nothing."""
        return 0


class SimBooks:
    """Stand for `MongoBooks`."""

    def __init__(self, database: SimDatabase) -> None:
        self._database = database

    async def by_reference(self, references: Sequence[str]) -> Mapping[str, str]:
        """Return reference -> payment."""

        def find() -> dict[str, str]:
            documents = self._database.collections["payments"].documents
            found = {document["state"].get("reference"): subject for subject, document in documents.items()}
            return {reference: found[reference] for reference in references if reference in found}

        return await self._database.server.ask(find)
