"""Journals in a real MongoDB: the behaviour suite, group commit, crashes while sealing, outages and lost answers."""

import asyncio
import signal
from datetime import timedelta
from typing import Any

import pytest
from pymongo import InsertOne, UpdateOne

from deploy.local.stack import Stack
from shared.environment import SystemEnvironment, timestamp
from shared.errors import StorageUnavailable
from shared.journal import Journal, Work
from shared.journal.model import NOTHING_PUBLISHED, Change, Watermark
from shared.store.journals import MongoJournalStore, open_journals
from shared.store.mongo import Database, GroupCommit, ping
from shared.testing.environment import FakeEnvironment
from tests.integration.conftest import Mongo
from tests.unit.journal_store_behaviour import JournalStoreBehaviour
from tests.unit.sample_journal import CALL, KEY, LATER, NOW, TALLY, Tally, Writer, add, command, noted, once, with_work

QUIET = FakeEnvironment()


@pytest.fixture
async def database(mongo: Mongo) -> Database:
    """A fresh database."""
    return await mongo.database()


@pytest.fixture
async def store(database: Database) -> MongoJournalStore:
    """An empty store."""
    return await open_journals(database, "journals")


@pytest.fixture
def journal(store: MongoJournalStore) -> Journal[Tally]:
    """A journal over the store, on the machine's clock."""
    return Journal(TALLY, store, SystemEnvironment(), tenant="emmen", key=KEY)


class TestMongoJournalStore(JournalStoreBehaviour):
    """All truths of `JournalStoreBehaviour`, in MongoDB."""

    @pytest.fixture
    async def store(self, database: Database) -> MongoJournalStore:
        """An empty store."""
        return await open_journals(database, "journals")


async def test_stores_are_opened_again(database: Database) -> None:
    """Opening the same journals twice, as every role of a service does, changes nothing; at once neither."""
    await asyncio.gather(*(open_journals(database, "journals") for _ in range(3)))
    names = await database["journals"].index_information()
    assert set(names) == {"_id_", "pending", "due"}


async def test_indexes_carry_the_polls(store: MongoJournalStore, database: Database) -> None:
    """The sweeper's and the work loop's questions are answered from their indexes, not by reading everything."""
    wanted = {"$elemMatch": {"kind": {"$in": [CALL]}, "due_at": {"$lte": NOW}}}
    for query, index in (({"work": wanted}, "due"), ({"pending": True, "updated_at": {"$lt": NOW}}, "pending")):
        plan = await database["journals"].find(query).explain()
        assert index in str(plan["queryPlanner"]["winningPlan"])


async def test_crash_while_sealing(store: MongoJournalStore) -> None:
    """Events that lie in a segment and still in the document are read once; sealing again ends it."""
    writer = Writer(store, QUIET)
    for number in range(1, 8):
        await writer.write("d1", f"c{number}")
    await store.mark_published("d1", NOTHING_PUBLISHED, 5)
    await store._write_segment("d1", (await store.events("d1"))[:3])
    assert [event["seq"] for event in await store.events("d1")] == [1, 2, 3, 4, 5, 6, 7]
    await store.mark_published("d1", Watermark(0, 5), 7)
    await store.seal("d1", keep=2)
    assert [event["seq"] for event in await store.events("d1")] == [1, 2, 3, 4, 5, 6, 7]
    assert await store._segments.count_documents({}) == 1
    head = await store.load("d1", "c3")
    assert head is not None
    assert [event["seq"] for event in head.matched] == [3]


async def test_group_commit_answers_each_caller(store: MongoJournalStore) -> None:
    """Of writes that share a bulk, each caller hears what became of its own."""
    writer = Writer(store, QUIET)
    await writer.write("taken", "c0")
    answers = await asyncio.gather(
        *(store.commit(change(f"d{number}")) for number in range(50)),
        *(store.commit(change("taken")) for _ in range(3)),
        store.commit(change("missing", version=3)),
    )
    assert answers == [True] * 50 + [False] * 4
    assert len(await store.subjects()) == 51


async def test_a_write_that_cannot_be_stored_fails_alone(store: MongoJournalStore) -> None:
    """A value that BSON cannot hold fails its own caller; those who shared the bulk are answered."""
    bad = change("bad", state={"count": 2**70})
    first, *others = await asyncio.wait_for(
        asyncio.gather(
            store.commit(bad), *(store.commit(change(f"d{number}")) for number in range(20)), return_exceptions=True
        ),
        10,
    )
    assert isinstance(first, OverflowError)
    assert others == [True] * 20
    assert await store.load("bad") is None


async def test_a_refused_document_fails_alone(database: Database) -> None:
    """A document that the server refuses for its size fails its own caller only."""
    writes = GroupCommit(database["things"])
    await writes.submit(InsertOne({"_id": "big", "parts": ["x" * 8_000_000]}))
    big = UpdateOne({"_id": "big"}, {"$push": {"parts": "x" * 9_000_000}})
    answers = await asyncio.gather(
        writes.submit(big), *(writes.submit(InsertOne({"_id": n})) for n in "abc"), return_exceptions=True
    )
    assert isinstance(answers[0], RuntimeError)
    assert answers[1:] == ["written"] * 3


async def test_a_caller_that_gives_up_disturbs_nobody(store: MongoJournalStore) -> None:
    """A cancelled request leaves its neighbours' answers alone; its own write may have happened."""
    tasks = [asyncio.create_task(store.commit(change(f"d{number}"))) for number in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [answer for index, answer in enumerate(answers) if index != 3] == [True] * 9


async def test_killed_database(stack: Stack, journal: Journal[Tally], database: Database) -> None:
    """While MongoDB is gone everything is `StorageUnavailable`; afterwards all that was acknowledged is there."""
    await journal.record("d1", add(noted(1)), command("k1"), creates=True)
    stack.kill("mongo")
    try:
        for call in (
            journal.record("d1", add(noted(2)), command("k2")),
            journal.store.commit(change("d2")),
            journal.store.pending(LATER, 10),
            journal.store.republish(1),
            ping(database),
        ):
            with pytest.raises(StorageUnavailable):
                await call
    finally:
        await asyncio.to_thread(stack.restart, "mongo")
    again = await journal.record("d1", add(noted(2)), command("k2"))
    assert again.state.total == 3
    assert again.sequence == 2


async def test_frozen_database(stack: Stack, journal: Journal[Tally]) -> None:
    """A MongoDB that hangs is `StorageUnavailable` within the socket's timeouts, and asking again finds the truth."""
    await journal.record("d1", add(noted(1)), command("k1"), creates=True)
    stack.kill("mongo", signal.SIGSTOP)
    try:
        async with asyncio.timeout(30):
            with pytest.raises(StorageUnavailable):
                await journal.record("d1", add(noted(2)), command("k2"))
    finally:
        stack.kill("mongo", signal.SIGCONT)
    outcome = await _patiently(journal, "d1", "k2")
    assert (outcome.state.total, outcome.sequence) == (3, 2)


async def test_lost_answer_finds_its_own_cause(journal: Journal[Tally], monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that happened but was not answered is found by asking again: nothing twice, the same answer."""
    store = journal.store
    genuine = store.commit

    async def lost(given: Change) -> bool:
        await genuine(given)
        raise StorageUnavailable("AutoReconnect")

    monkeypatch.setattr(store, "commit", lost)
    with pytest.raises(StorageUnavailable):
        await journal.record("d1", once(noted(5)), command("k1"), creates=True)
    monkeypatch.setattr(store, "commit", genuine)
    again = await journal.record("d1", once(noted(5)), command("k1"), creates=True)
    assert again.repeated
    assert (again.sequence, again.state.total, [r.sequence for r in again.events]) == (1, 5, [1])


async def test_many_writers_on_one_aggregate(journal: Journal[Tally]) -> None:
    """Twenty writers at once on one aggregate: each is recorded once, numbers have no gap, the fold is right."""
    await journal.record("d1", add(noted(1)), command("k0"), creates=True)
    outcomes = await asyncio.gather(
        *(journal.record("d1", add(noted(1)), command(f"k{number // 2}")) for number in range(2, 22))
    )
    assert sum(not outcome.repeated for outcome in outcomes) == 10
    stored = await journal.recorded("d1")
    assert [one.sequence for one in stored] == list(range(1, 12))
    current = await journal.state("d1")
    assert current is not None
    assert current.state.total == 11


async def test_one_of_many_takes_a_piece_of_work(journal: Journal[Tally], store: MongoJournalStore) -> None:
    """Loops that race for the same work: exactly one gets it."""
    await Writer(store, QUIET).write("d1", "c1", change=with_work(Work(CALL, NOW, id="d1:1/call")))
    await store._journals.update_one({"_id": "d1"}, {"$set": {"state": Tally().model_dump(mode="json")}})
    claims = await asyncio.gather(*(journal.claim("d1", "d1:1/call", timedelta(minutes=1)) for _ in range(8)))
    taken = [claim for claim in claims if claim is not None]
    assert len(taken) == 1
    assert taken[0].attempts == 1
    assert await store.due(timestamp(SystemEnvironment().now()), [CALL], 10) == []


async def _patiently(journal: Journal[Tally], subject: str, key: str) -> Any:
    async with asyncio.timeout(30):
        while True:
            try:
                return await journal.record(subject, add(noted(2)), command(key))
            except StorageUnavailable:
                await asyncio.sleep(0.1)


def change(subject: str, version: int = 0, state: dict[str, Any] | None = None) -> Change:
    """A first (or later) change with one event."""
    event = {"seq": version + 1, "id": f"{subject}:{version + 1}", "cause": "c", "data": {}, "mac": ""}
    return Change(
        subject=subject,
        tenant="emmen",
        version=version,
        sequence=version + 1,
        schema=1,
        state=state or {},
        events=(event,),
        seen=None,
        shared={},
        work=(),
        mac="",
        time=NOW,
    )
