"""The one door to MongoDB: connecting, grouped durable writes, and the driver's errors in our words.

Motor is imported here and nowhere else, so that its successor is one change. Knows no collection's content.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import ASCENDING, InsertOne, ReturnDocument, UpdateOne, WriteConcern
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CollectionInvalid,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from shared.errors import StorageUnavailable
from shared.meters import record_group_commit, record_group_read, record_not_queued
from shared.store.primary import FreshMajority, PrimaryWatch

__all__ = ["ASCENDING", "GroupCommit", "GroupRead", "InsertOne", "ReturnDocument", "UpdateOne", "connect", "translated"]

Collection = AsyncIOMotorCollection[dict[str, Any]]
Database = AsyncIOMotorDatabase[dict[str, Any]]
Operation = InsertOne[dict[str, Any]] | UpdateOne
Written = Literal["written", "conflict"]

DURABLE: Final = WriteConcern(w="majority", j=True)
SELECTION_TIMEOUT_MS: Final = 2_000
SOCKET_TIMEOUT_MS: Final = 5_000
MOST_WAITING: Final = 4_000
"""Twenty groups. With the default limits all that a role does at once (requests, records in hand, work, watermarks)
stays below 2,000; with HTTP_REQUESTS set to thousands it may not, and what is too much is refused here."""
_DUPLICATE: Final = 11000
_VALIDATION: Final = 121
# NotWritablePrimary, PrimarySteppedDown, interrupted…: the driver's own class for "ask again" is AutoReconnect,
# but inside a bulk result such a failure comes as a plain code.
# 12587: an index is being built, by another role that starts beside this one.
_AWAY: Final = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 12587, 13435, 13436})


@contextmanager
def translated() -> Iterator[None]:
    """Within this context an absent database is `StorageUnavailable`."""
    try:
        yield
    except (AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError, ConnectionFailure, ExecutionTimeout) as error:
        raise StorageUnavailable(type(error).__name__) from error
    except DuplicateKeyError:
        raise
    except OperationFailure as error:
        if error.code in _AWAY:
            raise StorageUnavailable(f"code {error.code}") from error
        raise


@asynccontextmanager
async def connect(uri: str, socket_timeout_ms: int = SOCKET_TIMEOUT_MS) -> AsyncIterator[Database]:
    """Yield the database that the URI names (else `admin`): journaled majority writes, and reads that see them all."""
    watch = PrimaryWatch()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        uri,
        serverSelectionTimeoutMS=SELECTION_TIMEOUT_MS,
        socketTimeoutMS=socket_timeout_ms,
        connectTimeoutMS=SELECTION_TIMEOUT_MS,
        maxPoolSize=50,
        tz_aware=True,
        event_listeners=[watch],
    )
    try:
        yield client.get_default_database("admin", write_concern=DURABLE, read_concern=FreshMajority(watch))
    finally:
        client.close()


async def ping(database: Database) -> None:
    """Return if a primary answers. Raises `StorageUnavailable`."""
    with translated():
        hello = await database.client.admin.command("hello")
    if not hello.get("isWritablePrimary"):
        raise StorageUnavailable("no primary")


async def ensure_collection(database: Database, name: str, required: Sequence[str]) -> Collection:
    """Return the collection; documents without these fields are refused, so that no upsert creates one by accident."""
    validator = {"$jsonSchema": {"required": list(required)}}
    with translated():
        try:
            await database.create_collection(name, validator=validator)
        except (CollectionInvalid, OperationFailure) as error:
            if isinstance(error, OperationFailure) and error.code != 48:  # NamespaceExists
                raise
            await database.command("collMod", name, validator=validator)
    return database[name]


@dataclass
class GroupCommit:
    """Grouped writes: what waits while `in_flight` bulk writes are under way shares the next one.

    Each caller gets its own answer after the group is journaled on a majority. No timer: an idle writer waits for
    nobody. Beyond `most` that wait nobody else is let in: they are told at once instead of being kept in memory.
    """

    collection: Collection
    in_flight: int = 2
    largest: int = 200
    most: int = MOST_WAITING
    _waiting: list[tuple[Operation, "asyncio.Future[Written]"]] = field(default_factory=list)
    _running: set["asyncio.Task[None]"] = field(default_factory=set)
    _active: int = 0

    async def submit(self, operation: Operation) -> Written:
        """Write durably. "conflict": a duplicate key or a guard that matched nothing. Raises `StorageUnavailable`."""
        if len(self._waiting) >= self.most:
            raise _full(self.collection.name, "write")
        future: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, future))
        if self._active < self.in_flight:
            self._active += 1
            task = asyncio.create_task(self._drain())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self.largest], self._waiting[self.largest :]
                await self._write_group(group)
        finally:
            # At once, not when the task is gone: who was just answered may ask again before that.
            self._active -= 1

    async def _write_group(self, group: "list[tuple[Operation, asyncio.Future[Written]]]") -> None:
        try:
            failures = await self._write([operation for operation, _ in group])
        except StorageUnavailable as error:
            _fail([future for _, future in group], error)
        except Exception as error:  # noqa: BLE001 - such as a value that cannot be stored: nobody may wait for ever
            if len(group) == 1:
                _fail([future for _, future in group], error)
                return
            # One operation must not fail its neighbours: each is tried alone, and a repeat is a conflict at worst.
            for single in group:
                await self._write_group([single])
        else:
            for index, (_, future) in enumerate(group):
                _answer(future, failures.get(index))

    async def _write(self, operations: list[Operation]) -> dict[int, int]:
        """Return the error codes by the operations' indexes."""
        began = time.perf_counter()
        try:
            with translated():
                await self.collection.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            if error.details.get("writeConcernErrors"):
                raise StorageUnavailable("write concern not satisfied") from error
            return {failure["index"]: failure["code"] for failure in error.details["writeErrors"]}
        finally:
            record_group_commit(self.collection.name, len(operations), time.perf_counter() - began)
        return {}


Document = dict[str, Any]
FindMany = Callable[[Sequence[tuple[str, str | None]]], Awaitable[Mapping[str, Document]]]


@dataclass
class GroupRead:
    """Grouped reads by id: what waits while `in_flight` finds are under way shares the next one.

    A find always begins after it was asked for, so that whoever asks sees every write acknowledged before. `find`
    gets (id, detail) pairs and returns the documents by id.
    """

    find: FindMany
    name: str = "unnamed"
    in_flight: int = 2
    largest: int = 200
    most: int = MOST_WAITING
    _waiting: "list[tuple[str, str | None, asyncio.Future[Document | None]]]" = field(default_factory=list)
    _running: set["asyncio.Task[None]"] = field(default_factory=set)
    _active: int = 0

    async def get(self, key: str, detail: str | None = None) -> Document | None:
        """Return the document with this id, or None. It may be shared: nobody changes it.

        Raises what `find` does, and `StorageUnavailable` when too many wait.
        """
        if len(self._waiting) >= self.most:
            raise _full(self.name, "read")
        future: asyncio.Future[Document | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, detail, future))
        if self._active < self.in_flight:
            self._active += 1
            task = asyncio.create_task(self._drain())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def _drain(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self.largest], self._waiting[self.largest :]
                await self._read_group(group)
        finally:
            # At once, not when the task is gone: who was just answered may ask again before that.
            self._active -= 1

    async def _read_group(self, group: "list[tuple[str, str | None, asyncio.Future[Document | None]]]") -> None:
        began = time.perf_counter()
        try:
            found = await self.find([(key, detail) for key, detail, _ in group])
        except Exception as error:  # noqa: BLE001 - nobody may wait for ever
            _fail([future for _, _, future in group], error)
            return
        finally:
            record_group_read(self.name, time.perf_counter() - began)
        for key, _, future in group:
            if not future.done():
                future.set_result(found.get(key))


def _full(collection: str, operation: str) -> StorageUnavailable:
    record_not_queued(collection, operation)
    return StorageUnavailable("too many wait already")


def _answer(future: "asyncio.Future[Written]", code: int | None) -> None:
    if future.done():
        return
    if code is None:
        future.set_result("written")
    elif code in (_DUPLICATE, _VALIDATION):
        future.set_result("conflict")
    elif code in _AWAY:
        future.set_exception(StorageUnavailable(f"code {code}"))
    else:
        future.set_exception(RuntimeError(f"MongoDB refused a write with code {code}"))


def _fail(futures: Sequence["asyncio.Future[Any]"], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
