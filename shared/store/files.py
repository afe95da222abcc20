"""Sealed files, one-time tickets and the ledger of who read what. Opens nothing sealed and decides no access."""

from datetime import datetime, timedelta
from typing import Any

from shared.environment import Environment, timestamp
from shared.store.mongo import ASCENDING, Collection, Database, translated


class MongoFiles:
    """Encrypted files by id; writing the same id again changes nothing."""

    def __init__(self, database: Database) -> None:
        self._files: Collection = database["files"]

    async def put(self, file_id: str, sealed: bytes) -> None:
        """Store a file unless it is there."""
        with translated():
            await self._files.update_one({"_id": file_id}, {"$setOnInsert": {"sealed": sealed}}, upsert=True)

    async def get(self, file_id: str) -> bytes | None:
        """Return a file's sealed bytes, or None."""
        with translated():
            document = await self._files.find_one({"_id": file_id})
        return bytes(document["sealed"]) if document else None


class MongoTickets:
    """One-time tickets, bound to a subject and valid for a short time."""

    def __init__(self, database: Database, environment: Environment) -> None:
        self._tickets: Collection = database["tickets"]
        self._environment = environment

    async def prepare(self) -> None:
        """Let the database forget tickets that nobody used."""
        with translated():
            await self._tickets.create_index([("until", ASCENDING)], name="forget", expireAfterSeconds=60)

    async def issue(self, subject: str, length: timedelta) -> str:
        """Return a new ticket."""
        ticket = self._environment.token(24)
        with translated():
            await self._tickets.insert_one({"_id": ticket, "subject": subject, "until": self._until(length)})
        return ticket

    async def redeem(self, ticket: str, subject: str) -> bool:
        """Use up a ticket; False if it is unknown, used, too old or for another subject."""
        with translated():
            found = await self._tickets.find_one_and_delete({"_id": ticket, "subject": subject})
        return found is not None and bool(found["until"] > self._environment.now())

    def _until(self, length: timedelta) -> datetime:
        return self._environment.now() + length


class MongoLedger:
    """Who read which dossier's details, and which fields: append only."""

    def __init__(self, database: Database, environment: Environment) -> None:
        self._reads: Collection = database["reads"]
        self._environment = environment

    async def note(self, dossier: str, reader: str, fields: list[str]) -> None:
        """Append a read before its answer is given."""
        entry = {
            "dossier": dossier,
            "reader": reader,
            "fields": fields,
            "time": timestamp(self._environment.now()),
        }
        with translated():
            await self._reads.insert_one(entry)

    async def of(self, dossier: str) -> list[dict[str, Any]]:
        """Return the reads of a dossier, oldest first."""
        with translated():
            found = self._reads.find({"dossier": dossier}, {"_id": 0}).sort("time", ASCENDING)
            return [entry async for entry in found]
