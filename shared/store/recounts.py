"""Which recount of the KPIs operators asked for, and by partition which one is done and who may say so.

Owns one small document in the analytics database. It counts nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.store.mongo import Collection, Database, ReturnDocument, translated

_ID: Final = "recount"


@dataclass(frozen=True, slots=True)
class Recounts:
    """`wanted`: the number of the last recount asked for, 0 before any; `done`: by partition, the last one finished."""

    wanted: int
    done: Mapping[int, int]

    def is_done(self, number: int, partitions: int) -> bool:
        """Whether every partition has come as far as this recount."""
        return all(self.done.get(partition, 0) >= number for partition in range(partitions))


class MongoRecounts:
    """The recounts of one installation. Every method raises `StorageUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._installation: Collection = database["installation"]

    async def state(self) -> Recounts:
        """Return what is wanted and what is done."""
        with translated():
            return _read(await self._installation.find_one({"_id": _ID}))

    async def ask(self) -> int:
        """Ask for one more recount; return its number."""
        return (await self._update({"$inc": {"wanted": 1}})).wanted

    async def take(self, partitions: Iterable[int], owner: str) -> Recounts:
        """Become the only one who may finish a recount of these partitions; return what is wanted and done."""
        taken = {f"owners.{partition}": owner for partition in partitions}
        return await self._update({"$set": taken}) if taken else await self.state()

    async def finish(self, partition: int, number: int, owner: str) -> bool:
        """Note a finished recount, unless another took the partition meanwhile; say if it was noted.

        The next one asked for has a higher number.
        """
        mine = {"_id": _ID, f"owners.{partition}": owner}
        with translated():
            done = {"$max": {f"done.{partition}": number, "wanted": number}}
            result = await self._installation.update_one(mine, done)
        return result.matched_count == 1

    async def _update(self, change: Mapping[str, Any]) -> Recounts:
        with translated():
            return _read(
                await self._installation.find_one_and_update(
                    {"_id": _ID}, change, upsert=True, return_document=ReturnDocument.AFTER
                )
            )


def _read(document: Mapping[str, Any] | None) -> Recounts:
    found = document or {}
    return Recounts(found.get("wanted", 0), {int(name): done for name, done in found.get("done", {}).items()})
