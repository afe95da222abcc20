"""Small collections beside the journals: data keys, dead-letter markers, leases, the installation's identity."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.environment import Environment, timestamp
from shared.journal.model import Filling
from shared.store.mongo import Collection, Database, GroupCommit, InsertOne, ReturnDocument, UpdateOne, translated


class MongoKeyStore:
    """The wrapped data keys of the vault's own database. Deleting a document's keys erases what they had sealed."""

    def __init__(self, database: Database) -> None:
        self._keys: Collection = database["keys"]
        self._people: Collection = database["people"]
        self._writes = GroupCommit(self._keys)

    async def insert(self, owner_id: str, wrapped: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Store the keys unless the owner has, or had, some; return those that are stored."""
        if await self._writes.submit(InsertOne({"_id": owner_id, "keys": dict(wrapped)})) == "written":
            return wrapped
        return await self.get(owner_id) or {}

    async def get(self, owner_id: str) -> Mapping[str, bytes] | None:
        """Return the owner's wrapped keys, or None."""
        with translated():
            document = await self._keys.find_one({"_id": owner_id})
        return None if document is None else {purpose: bytes(key) for purpose, key in document["keys"].items()}

    async def delete(self, owner_id: str) -> None:
        """Delete the owner's keys for good, and remember that there are none, so that none are made again."""
        with translated():
            await self._keys.update_one({"_id": owner_id}, {"$set": {"keys": {}}}, upsert=True)

    async def replace(self, owner_id: str, purpose: str, before: bytes, after: bytes) -> bool:
        """Store a key wrapped anew, unless it was changed or deleted meanwhile; say if it was stored."""
        with translated():
            place = f"keys.{purpose}"
            result = await self._keys.update_one({"_id": owner_id, place: before}, {"$set": {place: after}})
        return result.modified_count == 1

    async def owners(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return owners in ascending order, for paging through all."""
        with translated():
            found = self._keys.find({"_id": {"$gt": after}}, {"_id": 1}).sort("_id", 1).limit(limit)
            return [document["_id"] async for document in found]

    async def alias(self, known: str, proposed: str) -> str:
        """Return the random token that stands for `known` (a keyed hash); the first proposal stays for ever."""
        with translated():
            document = await self._people.find_one_and_update(
                {"_id": known},
                {"$setOnInsert": {"alias": proposed}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        token: str = document["alias"]
        return token


class MongoMarkers:
    """Durable dead-letter markers: dossiers whose events a consumer group sets aside until they are redriven."""

    def __init__(self, database: Database) -> None:
        self._markers: Collection = database["dead_letters"]
        self._discarded: Collection = database["discarded_letters"]

    async def mark(self, group: str, key: str, reason: str, event: str, now: str, *, letters: int = 0) -> None:
        """Remember that this dossier's events go to the dead-letter topic from this event on."""
        first = {"group": group, "key": key, "reason": reason, "event": event, "since": now, "last": now, "attempts": 1}
        with translated():
            await self._markers.update_one(
                {"_id": f"{group}/{key}"}, {"$setOnInsert": first, "$inc": {"waiting": letters}}, upsert=True
            )

    async def marked(self, group: str, key: str, redrive: str = "") -> bool:
        """Return whether this dossier's events are set aside; those of the redrive under way are not."""
        wanted = {"_id": f"{group}/{key}", **({"redrive": {"$ne": redrive}} if redrive else {})}
        with translated():
            return await self._markers.find_one(wanted, {"_id": 1}) is not None

    async def start_redrive(self, group: str, key: str, token: str) -> dict[str, Any] | None:
        """Let the letters with this token be handled from now on; return the marker, or None if there is none."""
        with translated():
            return await self._markers.find_one_and_update(
                {"_id": f"{group}/{key}"}, {"$set": {"redrive": token}}, return_document=ReturnDocument.AFTER
            )

    async def stop_redrive(self, group: str, key: str, token: str, reason: str, event: str, now: str) -> None:
        """Handle no more letters of this redrive: `event` failed again; without effect for another redrive."""
        failed = {"reason": reason, "event": event, "last": now}
        with translated():
            await self._markers.update_one(
                {"_id": f"{group}/{key}", "redrive": token},
                {"$unset": {"redrive": ""}, "$set": failed, "$inc": {"attempts": 1}},
            )

    async def find(self, group: str, key: str) -> dict[str, Any] | None:
        """Return a marker, or None."""
        with translated():
            return await self._markers.find_one({"_id": f"{group}/{key}"})

    async def finish_redrive(self, group: str, key: str, token: str, waiting: int) -> bool:
        """Remove the marker unless the redrive was stopped or more letters than `waiting` have come; say if it was."""
        with translated():
            result = await self._markers.delete_one({"_id": f"{group}/{key}", "redrive": token, "waiting": waiting})
        return result.deleted_count == 1

    async def keys(self, group: str) -> set[str]:
        """Return every dossier that this group sets aside."""
        with translated():
            return {document["key"] async for document in self._markers.find({"group": group}, {"key": 1})}

    async def page(self, group: str, after: tuple[str, str] | None, limit: int) -> list[dict[str, Any]]:
        """Return so many of the group's markers after the one with this (since, dossier), oldest first."""
        beyond: dict[str, Any] = {}
        if after is not None:
            beyond = {"$or": [{"since": {"$gt": after[0]}}, {"since": after[0], "key": {"$gt": after[1]}}]}
        with translated():
            cursor = self._markers.find({"group": group, **beyond}).sort([("since", 1), ("key", 1)]).limit(limit)
            return [document async for document in cursor]

    async def list(self, group: str) -> list[dict[str, Any]]:
        """Return the group's markers, oldest first."""
        with translated():
            return [document async for document in self._markers.find({"group": group}).sort("since", 1)]

    async def discard(self, group: str, key: str, event: str, reason: str, who: str, now: str) -> None:
        """Remember for good that the group is not to handle this event; the first one who said so stays."""
        first = {"group": group, "key": key, "event": event, "reason": reason, "who": who, "at": now}
        with translated():
            await self._discarded.update_one({"_id": f"{group}/{event}"}, {"$setOnInsert": first}, upsert=True)

    async def discarded(self, group: str) -> set[str]:
        """Return the ids of all events that operators discarded."""
        with translated():
            return {document["event"] async for document in self._discarded.find({"group": group}, {"event": 1})}

    async def is_discarded(self, group: str, event: str) -> bool:
        """Return whether operators discarded an event."""
        with translated():
            return await self._discarded.find_one({"_id": f"{group}/{event}"}, {"_id": 1}) is not None

    async def clear(self, group: str, key: str) -> None:
        """Let this dossier's events be handled again."""
        with translated():
            await self._markers.delete_one({"_id": f"{group}/{key}"})


class MongoEpochs:
    """After which restore from a backup this service's journals are written."""

    def __init__(self, database: Database) -> None:
        self._installation: Collection = database["installation"]

    async def epoch(self) -> int:
        """Return the number of the last restore; 0 before any."""
        with translated():
            document = await self._installation.find_one({"_id": "epoch"})
        return document["epoch"] if document else 0

    async def begin(self, epoch: int) -> None:
        """Start an epoch: what is recorded from now on comes after what any earlier one had recorded.

        The next start takes every broker for another one and fills its topics again.
        """
        with translated():
            await self._installation.update_one({"_id": "epoch"}, {"$max": {"epoch": epoch}}, upsert=True)
            await self._installation.update_one({"_id": "broker"}, {"$set": {"cluster": ""}})


class MongoLeases:
    """Leases by name, so that one of several replicas does a thing."""

    def __init__(self, database: Database, environment: Environment) -> None:
        self._leases: Collection = database["leases"]
        self._environment = environment

    async def acquire(self, name: str, holder: str, length: timedelta) -> bool:
        """Take or prolong a lease; False while another holds it.

        One that ends later than a new one would was taken by a clock that is ahead: nobody waits for that clock.
        """
        now = self._environment.now()
        ends = [{"until": {"$lt": timestamp(now)}}, {"until": {"$gt": timestamp(now + length)}}]
        free = {"_id": name, "$or": [{"holder": holder}, *ends]}
        taken = {"$set": {"holder": holder, "until": timestamp(now + length)}}
        writes = GroupCommit(self._leases)
        return await writes.submit(UpdateOne(free, taken, upsert=True)) == "written"


class MongoInstallation:
    """Which filling of which cluster's topics this service's journals are in."""

    def __init__(self, database: Database) -> None:
        self._installation: Collection = database["installation"]

    async def filling(self) -> Filling | None:
        """Return the remembered filling, or None before the first start."""
        with translated():
            document = await self._installation.find_one({"_id": "broker"})
        return Filling(document["cluster"], document.get("fill", 0)) if document else None

    async def remember(self, filling: Filling) -> None:
        """Remember the filling."""
        stored = {"cluster": filling.cluster, "fill": filling.number}
        with translated():
            await self._installation.update_one({"_id": "broker"}, {"$set": stored}, upsert=True)
