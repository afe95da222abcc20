"""How much waits in the collections, and since when: counts for the lookout. Each is one query over an index.

Counting stops at a limit, so that a huge backlog costs no more than a large one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.store.mongo import Database, translated

LIMIT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait, up to `LIMIT`, and the RFC 3339 time of the oldest."""

    count: int = 0
    oldest: str | None = None


@dataclass(frozen=True, slots=True)
class Letters:
    """Dossiers set aside, their letters, and the RFC 3339 time of the first marker."""

    dossiers: int = 0
    letters: int = 0
    oldest: str | None = None

    def plus(self, other: "Letters") -> "Letters":
        """Return both together."""
        times = [time for time in (self.oldest, other.oldest) if time]
        return Letters(self.dossiers + other.dossiers, self.letters + other.letters, min(times, default=None))


class Figures:
    """The figures of one service's database. Every method raises `StorageUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unpublished(self, collection: str) -> Waiting:
        """Return how many aggregates have unpublished events."""
        counted = {"_id": None, "count": {"$sum": 1}, "oldest": {"$min": "$updated_at"}}
        found = await self.ask(
            collection,
            [{"$match": {"pending": True, "updated_at": {"$gt": ""}}}, {"$limit": LIMIT}, {"$group": counted}],
        )
        return Waiting(found[0]["count"], found[0]["oldest"]) if found else Waiting()

    async def work(
        self, collection: str, calls: Sequence[str], others: Sequence[str], now: str
    ) -> Mapping[tuple[str, bool], Waiting]:
        """Return work by kind and whether it is due; of `others`, such as timers, only aggregates with due ones."""
        due = {"work": {"$elemMatch": {"kind": {"$in": list(others)}, "due_at": {"$lte": now}}}}
        key = {"kind": "$work.kind", "due": {"$lte": ["$work.due_at", now]}}
        found = await self.ask(
            collection,
            [
                {"$match": {"$or": [{"work.kind": {"$in": list(calls)}}, due]}},
                {"$limit": LIMIT},
                {"$project": {"work.kind": 1, "work.due_at": 1}},
                {"$unwind": "$work"},
                {"$group": {"_id": key, "count": {"$sum": 1}, "oldest": {"$min": "$work.due_at"}}},
            ],
        )
        return {(one["_id"]["kind"], one["_id"]["due"]): Waiting(one["count"], one["oldest"]) for one in found}

    async def dead_letters(self, group: str) -> list[tuple[str, Letters]]:
        """Return what a consumer group has set aside, by the reasons' texts."""
        summed = {"dossiers": {"$sum": 1}, "letters": {"$sum": "$waiting"}, "oldest": {"$min": "$since"}}
        found = await self.ask("dead_letters", [{"$match": {"group": group}}, {"$group": {"_id": "$reason", **summed}}])
        return [(one["_id"], Letters(one["dossiers"], one["letters"], one["oldest"])) for one in found]

    async def index(self, collection: str, field: str, only: Mapping[str, Any]) -> None:
        """Make an index over the documents that match `only`, named after the field."""
        with translated():
            await self._database[collection].create_index(
                [(field, 1)], name=f"open {field}", partialFilterExpression=dict(only)
            )

    async def ask(self, collection: str, pipeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return what an aggregation gives."""
        with translated():
            return await self._database[collection].aggregate([dict(stage) for stage in pipeline]).to_list(None)
