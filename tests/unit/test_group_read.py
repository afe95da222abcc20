"""Grouped reads and writes: who shares one, what everybody gets, who is sent away, and that nobody sees too little."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, cast

import pytest

from shared.errors import StorageUnavailable
from shared.store.mongo import GroupCommit, GroupRead, InsertOne

Wanted = Sequence[tuple[str, str | None]]


class Shelf:
    """A collection whose finds end when they are let; it notes what each one asked for."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {"a": {"n": 1}, "b": {"n": 2}}
        self.asked: list[list[tuple[str, str | None]]] = []
        self.open = asyncio.Event()
        self.away = False

    async def find(self, wanted: Wanted) -> Mapping[str, dict[str, Any]]:
        """Read at once, answer when let."""
        self.asked.append(list(wanted))
        found = {key: self.documents[key] for key, _ in wanted if key in self.documents}
        await self.open.wait()
        if self.away:
            raise StorageUnavailable("away")
        return found


async def test_who_waits_shares_the_next_find() -> None:
    """One find is under way; what is asked meanwhile goes together, and each gets its own document or None."""
    shelf = Shelf()
    read = GroupRead(shelf.find, in_flight=1)
    first = asyncio.create_task(read.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(read.get(key, "why")) for key in ("b", "a", "missing")]
    await asyncio.sleep(0)
    shelf.open.set()
    assert await asyncio.gather(first, *others) == [{"n": 1}, {"n": 2}, {"n": 1}, None]
    assert shelf.asked == [[("a", None)], [("b", "why"), ("a", "why"), ("missing", "why")]]


async def test_a_find_begins_after_it_was_asked_for() -> None:
    """What was written before asking is seen, though an older find of the same document is still under way."""
    shelf = Shelf()
    read = GroupRead(shelf.find, in_flight=1)
    before = asyncio.create_task(read.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    shelf.documents["a"] = {"n": 99}
    after = asyncio.create_task(read.get("a"))
    await asyncio.sleep(0)
    shelf.open.set()
    assert (await before, await after) == ({"n": 1}, {"n": 99})


async def test_a_failure_reaches_everybody_and_the_next_find_is_tried() -> None:
    """Nobody waits for ever, and an outage does not outlast itself."""
    shelf = Shelf()
    shelf.open.set()
    shelf.away = True
    read = GroupRead(shelf.find)
    for outcome in await asyncio.gather(read.get("a"), read.get("b"), return_exceptions=True):
        assert isinstance(outcome, StorageUnavailable)
    shelf.away = False
    assert await read.get("a") == {"n": 1}


async def test_who_gives_up_does_not_disturb_the_others() -> None:
    """A cancelled caller's neighbours get their documents."""
    shelf = Shelf()
    read = GroupRead(shelf.find, in_flight=1)
    gone, stays = asyncio.create_task(read.get("a")), asyncio.create_task(read.get("b"))
    await asyncio.sleep(0)
    gone.cancel()
    shelf.open.set()
    assert await stays == {"n": 2}
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_who_was_just_answered_can_ask_again_at_once() -> None:
    """The reader that gave the answer has ended, though its task is not gone yet: another one is started."""
    shelf = Shelf()
    shelf.open.set()
    read = GroupRead(shelf.find, in_flight=1)
    async with asyncio.timeout(5):
        assert await read.get("a") == {"n": 1}
        assert await read.get("b") == {"n": 2}


async def test_who_was_just_answered_can_write_again_at_once() -> None:
    """The same for grouped writes."""

    class Accepting:
        name = "samples"

        async def bulk_write(self, _operations: object, *, ordered: bool) -> None:
            assert not ordered

    writes = GroupCommit(cast("Any", Accepting()), in_flight=1)
    async with asyncio.timeout(5):
        assert await writes.submit(InsertOne({"_id": 1})) == "written"
        assert await writes.submit(InsertOne({"_id": 2})) == "written"


async def test_beyond_those_that_wait_nobody_is_let_in() -> None:
    """While the database hangs, the fifth reader and the fifth writer are told at once, and the others are served."""
    shelf = Shelf()

    class Hanging:
        name = "samples"

        async def bulk_write(self, _operations: object, *, ordered: bool) -> None:
            assert not ordered
            await shelf.open.wait()

    read = GroupRead(shelf.find, "samples", in_flight=1, largest=1, most=3)
    writes = GroupCommit(cast("Any", Hanging()), in_flight=1, largest=1, most=3)

    async def started(ask: Callable[[], Coroutine[Any, Any, object]]) -> "asyncio.Task[object]":
        task = asyncio.create_task(ask())
        for _ in range(3):
            await asyncio.sleep(0)
        return task

    readers = [await started(lambda: read.get("a")) for _ in range(5)]
    writers = [await started(lambda: writes.submit(InsertOne({"_id": 1}))) for _ in range(5)]
    for late in (readers.pop(), writers.pop()):
        assert isinstance(late.exception(), StorageUnavailable)
    shelf.open.set()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*readers) == [{"n": 1}] * 4
        assert await asyncio.gather(*writers) == ["written"] * 4
        assert await read.get("a") == {"n": 1}
        assert await writes.submit(InsertOne({"_id": 1})) == "written"
