"""The small collections beside the journals, in a real MongoDB: markers, leases, installation, wake-ups."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from deploy.local.stack import Stack
from shared.environment import SystemEnvironment
from shared.errors import StorageUnavailable
from shared.journal.model import Filling
from shared.store.changes import Changes
from shared.store.journals import open_journals
from shared.store.mongo import Database
from shared.store.recounts import MongoRecounts
from shared.store.small import MongoInstallation, MongoLeases, MongoMarkers
from shared.testing.environment import FakeEnvironment
from tests.integration.conftest import Mongo
from tests.unit.markers_behaviour import MarkersBehaviour
from tests.unit.recounts_behaviour import RecountsBehaviour
from tests.unit.sample_journal import Writer

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def database(mongo: Mongo) -> Database:
    """A fresh database."""
    return await mongo.database()


class TestMongoMarkers(MarkersBehaviour):
    """All truths of `MarkersBehaviour`, in MongoDB."""

    @pytest.fixture
    async def markers(self, database: Database) -> MongoMarkers:
        """No markers."""
        return MongoMarkers(database)


class TestMongoRecounts(RecountsBehaviour):
    """All truths of `RecountsBehaviour`, in MongoDB."""

    @pytest.fixture
    async def recounts(self, database: Database) -> MongoRecounts:
        """No recount."""
        return MongoRecounts(database)


async def test_marks_at_once_count_each(database: Database) -> None:
    """Two members that set the same dossier aside at once make one marker with both letters."""
    markers = MongoMarkers(database)
    await asyncio.gather(*(markers.mark("g", "d1", "r", "e", "t", letters=1) for _ in range(10)))
    marker = await markers.find("g", "d1")
    assert marker is not None
    assert marker["waiting"] == 10


async def test_a_lease_has_one_holder(database: Database) -> None:
    """Of many that want it one gets it, may prolong it, and loses it when it ends."""
    environment = FakeEnvironment()
    leases = MongoLeases(database, environment)
    got = await asyncio.gather(*(leases.acquire("sweep", f"h{number}", MINUTE) for number in range(6)))
    assert got.count(True) == 1
    holder = f"h{got.index(True)}"
    environment.advance(MINUTE / 2)
    assert await leases.acquire("sweep", holder, MINUTE)
    environment.advance(MINUTE)
    assert not await leases.acquire("sweep", "late", MINUTE)
    environment.advance(timedelta(milliseconds=1))
    assert await leases.acquire("sweep", "late", MINUTE)
    assert not await leases.acquire("sweep", holder, MINUTE)
    assert await leases.acquire("other", holder, MINUTE)


async def test_a_lease_of_a_clock_that_was_ahead_is_taken_over(database: Database) -> None:
    """Who held it with a clock two hours ahead and died keeps nobody waiting for two hours."""
    ahead, right = FakeEnvironment(), FakeEnvironment()
    ahead.advance(120 * MINUTE)
    assert await MongoLeases(database, ahead).acquire("sweep", "died", MINUTE)
    assert await MongoLeases(database, right).acquire("sweep", "next", MINUTE)
    assert not await MongoLeases(database, right).acquire("sweep", "third", MINUTE)


async def test_the_installation_remembers_its_filling(database: Database) -> None:
    """None before the first start, then the last one remembered."""
    installation = MongoInstallation(database)
    assert await installation.filling() is None
    for filling in (Filling("one", 0), Filling("two", 1)):
        await installation.remember(filling)
        assert await MongoInstallation(database).filling() == filling


async def test_listeners_are_woken_by_their_subject_and_after_an_outage(database: Database, stack: Stack) -> None:
    """A change of another subject wakes nobody; a lost stream wakes everybody, since something may have been missed."""
    store = await open_journals(database, "tallies")
    writer = Writer(store, FakeEnvironment())
    changes = Changes(database["tallies"], SystemEnvironment())
    following = asyncio.create_task(changes.run())
    async with changes.listening("d1") as mine, changes.listening("d2") as other:
        await asyncio.wait_for(other.wait(), 30)
        mine.clear()
        other.clear()
        async with asyncio.timeout(30):
            while not mine.is_set():
                await writer.write("d1", "c")
                await asyncio.sleep(0.05)
        assert not other.is_set()
        stack.kill("mongo")
        # Before it is back: a database that returns at once lets the driver resume, and then nothing was missed.
        await asyncio.wait_for(other.wait(), 30)
        await asyncio.to_thread(stack.restart, "mongo")
        mine.clear()
        async with asyncio.timeout(30):
            while not mine.is_set():
                with suppress(StorageUnavailable):
                    await writer.write("d1", "c")
                await asyncio.sleep(0.05)
    following.cancel()


async def test_nothing_is_followed_while_nobody_listens(database: Database) -> None:
    """The stream opens with the first listener, who is woken for what came before it, and closes after the last."""
    writer = Writer(await open_journals(database, "tallies"), FakeEnvironment())
    changes = Changes(database["tallies"], SystemEnvironment())
    following = asyncio.create_task(changes.run())
    await writer.write("d1", "c")
    assert not await _open_streams(database)
    for _ in range(2):
        async with changes.listening("d1") as woken:
            await asyncio.wait_for(woken.wait(), 30)
            assert await _open_streams(database) == 1
        async with asyncio.timeout(30):
            while await _open_streams(database):  # noqa: ASYNC110 - a server tells nobody that a cursor is closed
                await asyncio.sleep(0.05)
    following.cancel()


async def _open_streams(database: Database) -> int:
    """Return how many change streams are open on the database."""
    stage = {"$currentOp": {"idleCursors": True}}
    mine = {"$match": {"ns": f"{database.name}.tallies", "cursor.tailable": True}}
    return len(await database.client.admin.aggregate([stage, mine]).to_list(None))
