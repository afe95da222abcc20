"""Whole collections as raw BSON: out of one moment, into empty databases. Looks into no document.

The moment is a snapshot of the replica set: every database is read as it was at the same cluster time, while others
write. MongoDB keeps snapshots for `minSnapshotHistoryWindowInSeconds` (300 unless set); reading longer is refused.
"""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from shared.errors import StorageUnavailable
from shared.store.mongo import DURABLE, Database, connect, translated

SOCKET_TIMEOUT_MS: Final = 600_000
BATCH_BYTES: Final = 8_000_000
BATCH_DOCUMENTS: Final = 1_000
_RAW: Final[CodecOptions[RawBSONDocument]] = CodecOptions(document_class=RawBSONDocument)
# SnapshotTooOld, SnapshotUnavailable: the moment is gone, or a collection was being made at it.
_NO_SNAPSHOT: Final = frozenset({239, 246})


class SnapshotGone(StorageUnavailable):
    """The database no longer has, or does not have, the moment that is read: begin again."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a collection is made: its options (a validator) and its indexes, as MongoDB's commands take them."""

    name: str
    options: Mapping[str, Any]
    indexes: tuple[Mapping[str, Any], ...]


class Cut:
    """All databases of a replica set as they were at one moment: that of the first document read."""

    def __init__(self, database: Database, session: Any) -> None:
        self._client = database.client
        self._session = session

    async def shapes(self, database: str) -> list[Shape]:
        """Return the collections of a database by name."""
        with translated():
            found = await (await self._client[database].list_collections()).to_list(None)
        names = {one["name"]: one.get("options", {}) for one in found if one.get("type", "collection") == "collection"}
        ours = sorted(name for name in names if not name.startswith("system."))
        return [Shape(name, _plain(names[name]), await self._indexes(database, name)) for name in ours]

    async def documents(self, database: str, collection: str) -> AsyncIterator[bytes]:
        """Yield the documents of a collection as BSON. Raises `SnapshotGone`, `StorageUnavailable`."""
        raw = self._client[database].get_collection(collection, codec_options=_RAW)
        with _at_one_moment():
            async for document in raw.find({}, session=self._session).batch_size(BATCH_DOCUMENTS):
                yield document.raw

    async def _indexes(self, database: str, collection: str) -> tuple[Mapping[str, Any], ...]:
        with translated():
            found = [_plain(index) async for index in self._client[database][collection].list_indexes()]
        return tuple({key: value for key, value in index.items() if key not in ("v", "ns")} for index in found)


@asynccontextmanager
async def administer(uri: str) -> AsyncIterator[Database]:
    """Yield a connection for long reads and writes; `beside` gives the databases."""
    async with connect(uri, SOCKET_TIMEOUT_MS) as database:
        yield database


def beside(database: Database, name: str) -> Database:
    """Return another database of the same connection, with the same durability."""
    return database.client.get_database(name, write_concern=DURABLE, read_concern=database.read_concern)


@asynccontextmanager
async def cut(database: Database) -> AsyncIterator[Cut]:
    """Yield all databases at one moment."""
    with translated():
        session = await database.client.start_session(snapshot=True)
    async with session:
        yield Cut(database, session)


async def count(database: Database) -> int:
    """Return how many documents lie in a database, about."""
    with translated():
        names = await database.list_collection_names()
        return sum([await database[name].estimated_document_count() for name in names])


async def clear(database: Database) -> None:
    """Drop every collection of a database."""
    with translated():
        for name in await database.list_collection_names():
            await database.drop_collection(name)


async def fill(database: Database, shape: Shape, documents: Iterable[bytes]) -> int:
    """Make a collection anew with these documents; return how many. Raises `StorageUnavailable`."""
    filled = 0
    with translated():
        await database.drop_collection(shape.name)
        await database.create_collection(shape.name, **shape.options)
        for batch in _batches(documents):
            await database[shape.name].insert_many(batch, ordered=False)
            filled += len(batch)
        indexes = [dict(index) for index in shape.indexes if index["name"] != "_id_"]
        if indexes:
            await database.command("createIndexes", shape.name, indexes=indexes)
    return filled


def _batches(documents: Iterable[bytes]) -> Iterator[list[Any]]:
    batch: list[RawBSONDocument] = []
    size = 0
    for document in documents:
        batch.append(RawBSONDocument(document))
        size += len(document)
        if size >= BATCH_BYTES or len(batch) == BATCH_DOCUMENTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@contextmanager
def _at_one_moment() -> Iterator[None]:
    try:
        with translated():
            yield
    except OperationFailure as error:
        if error.code in _NO_SNAPSHOT:
            raise SnapshotGone(f"code {error.code}") from error
        raise


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json_util.dumps(document))
    return plain
