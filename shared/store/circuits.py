"""Which providers a service's workers cannot reach: kept where its API can read it. Decides nothing.

Each worker process keeps its own word, renewed while it holds; the word of one that is gone counts no longer.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.circuit import CircuitState
from shared.environment import Environment, parse_timestamp, timestamp
from shared.store.mongo import Collection as MongoCollection
from shared.store.mongo import Database, translated

VALID: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Outage:
    """A provider that cannot be reached, and how many dossiers wait for it."""

    provider: str
    state: CircuitState
    since: datetime
    waiting: int


class MongoCircuits:
    """Every method raises `StorageUnavailable`."""

    def __init__(self, database: Database, environment: Environment) -> None:
        self._database = database
        self._circuits: MongoCollection = database["circuits"]
        self._environment = environment

    async def keep(self, holder: str, outage: Outage) -> None:
        """Note, or renew, that this worker cannot reach a provider."""
        kept = {
            "provider": outage.provider,
            "state": outage.state,
            "since": timestamp(outage.since),
            "waiting": outage.waiting,
            "seen": timestamp(self._environment.now()),
        }
        with translated():
            await self._circuits.update_one({"_id": f"{outage.provider}/{holder}"}, {"$set": kept}, upsert=True)

    async def forget(self, holder: str, provider: str) -> None:
        """Note that this worker reaches a provider again."""
        with translated():
            await self._circuits.delete_one({"_id": f"{provider}/{holder}"})

    async def waiting(self, collection: str, kinds: Collection[str]) -> int:
        """Return for how many aggregates work of these kinds was tried and is not done."""
        tried = {"$elemMatch": {"kind": {"$in": list(kinds)}, "attempts": {"$gte": 1}}}
        with translated():
            return int(await self._database[collection].count_documents({"work": tried}))

    async def outages(self) -> list[Outage]:
        """Return every provider that some worker cannot reach: since the first of them, tried if one tries."""
        fresh = {"seen": {"$gte": timestamp(self._environment.now() - VALID)}}
        with translated():
            documents = await self._circuits.find(fresh).sort("since", 1).to_list(None)
        found: dict[str, Outage] = {}
        for one in documents:
            known = found.get(one["provider"])
            state: CircuitState = "trying" if "trying" in (one["state"], known and known.state) else "open"
            since = known.since if known else parse_timestamp(one["since"])
            # Replicas of one worker count the same dossiers.
            waiting = max(one["waiting"], known.waiting if known else 0)
            found[one["provider"]] = Outage(one["provider"], state, since, waiting)
        return list(found.values())
