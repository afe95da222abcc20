"""What operators did, in each service's own database: who, what, why, when, and what became of it. Append only."""

from collections.abc import Mapping
from typing import Any

from shared.environment import Environment, timestamp
from shared.store.mongo import Collection, Database, translated


class MongoOperations:
    """The log of deeds. A note is written before the deed; its outcome is added once."""

    def __init__(self, database: Database, environment: Environment) -> None:
        self._deeds: Collection = database["operations"]
        self._environment = environment

    async def begin(self, who: str, what: str, target: Mapping[str, Any], reason: str) -> str:
        """Note a deed before it is done; return the note's id."""
        now = timestamp(self._environment.now())
        # Ordered by time, also among those of the same millisecond made by different processes.
        note = f"{now}/{self._environment.token(5)}"
        entry = {"_id": note, "at": now, "who": who, "what": what, "target": dict(target), "reason": reason}
        with translated():
            await self._deeds.insert_one(entry)
        return note

    async def end(self, note: str, outcome: Mapping[str, Any]) -> None:
        """Add what became of it, once."""
        # A list of pairs: ids hold colons and dots, which are no good names of fields.
        ended = {"ended": timestamp(self._environment.now()), "outcome": [list(pair) for pair in outcome.items()]}
        with translated():
            await self._deeds.update_one({"_id": note, "outcome": None}, {"$set": ended})

    async def page(self, before: str | None, limit: int) -> list[dict[str, Any]]:
        """Return so many deeds before the one with this id, newest first."""
        query: dict[str, Any] = {} if before is None else {"_id": {"$lt": before}}
        with translated():
            return [entry async for entry in self._deeds.find(query).sort("_id", -1).limit(limit)]
