"""Two API processes, a worker and a sweeper racing on the same aggregates, over real MongoDB and genuine Kafka.

Everything is recorded once, everything is published, and first occurrences on the topics are in order.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.consumer import Dispatcher, Handler
from shared.contracts.agency import SharedDossierDecided
from shared.contracts.envelope import Message, Received, attributes
from shared.contracts.event import Event
from shared.contracts.identity import IdentityCheckDelayed, IdentityConfirmed
from shared.contracts.topics import agency_topic, dead_letter_topic
from shared.environment import SystemEnvironment
from shared.journal import Aggregate, Cause, Journal, Recorded, Share
from shared.journal.verify import verify_all
from shared.kafka.client import KafkaPublisher
from shared.kafka.reader import consume
from shared.relay import Relay
from shared.store.journals import open_journals
from shared.store.mongo import connect
from shared.store.small import MongoMarkers
from tests.integration.conftest import Kafka, Mongo, fresh
from tests.integration.test_kafka_bus import KafkaBus
from tests.unit.sample_journal import CONFIRMED, KEY, TALLY, Tally, add, command, noted, record_of

DOSSIERS = [f"d{number}" for number in range(5)]
COMMANDS = 40
TOLD = 25


class Hasty(SystemEnvironment):
    """A sweeper's clock that runs ahead, so that it races with the relays instead of waiting until they are done."""

    def now(self) -> datetime:
        """A little later than it is."""
        return super().now() + timedelta(seconds=5)


@dataclass
class Process:
    """One process of a service: its own connections, journal and relay."""

    journal: Journal[Tally]
    relay: Relay
    publisher: KafkaPublisher


@dataclass
class Town:
    """What the processes share."""

    mongo: Mongo
    kafka: Kafka
    uri: str
    aggregate: Aggregate[Tally]
    inbox: str
    group: str

    @asynccontextmanager
    async def process(self, *, relays: bool = True, hasty: bool = False) -> AsyncIterator[Process]:
        """Start a process with its own connections."""
        environment = Hasty() if hasty else SystemEnvironment()
        publisher = KafkaPublisher(self.kafka.settings())
        async with connect(self.uri) as database:
            store = await open_journals(database, "tallies")
            journal = Journal(self.aggregate, store, SystemEnvironment(), tenant="emmen", key=KEY)
            relay = Relay(journal, publisher, environment)
            await publisher.connect()
            async with _background(relay.run if relays else _idle):
                journal.listen(relay)
                yield Process(journal, relay, publisher)
            await publisher.close()


@pytest.fixture
async def town(mongo: Mongo, kafka: Kafka) -> Town:
    """A fresh database and fresh topics."""
    topic, agency = await kafka.topic(), fresh("agency")
    await kafka.topic(agency_topic(agency))
    group = kafka.group()
    await kafka.topic(dead_letter_topic(group))

    def share(_state: Tally, recorded: Recorded) -> Sequence[Share]:
        shares = isinstance(recorded.event, IdentityConfirmed)
        return (Share(agency, SharedDossierDecided(outcome="granted", automatic=True)),) if shares else ()

    aggregate = replace(TALLY, topic=topic, share=share)
    return Town(mongo, kafka, mongo.uri(), aggregate, await kafka.topic(), group)


async def test_everything_once_and_in_order(town: Town) -> None:
    """Commands sent to both processes, events read by the worker, a sweeper in between: each is recorded once, the
    journals are whole, and topic and agency topic show each subject's events from 1 on in order of first occurrence."""
    async with AsyncExitStack() as stack:
        one, other, worker = [await stack.enter_async_context(town.process()) for _ in range(3)]
        sweeper = await stack.enter_async_context(town.process(relays=False, hasty=True))
        await asyncio.gather(*(one.journal.record(d, add(noted(1)), command("open"), creates=True) for d in DOSSIERS))
        await stack.enter_async_context(_background(lambda: _consume(town, worker)))
        await stack.enter_async_context(_background(lambda: _sweep(sweeper.relay)))
        await asyncio.gather(_write(one, 1), _write(other, 2), _tell(town, worker.publisher))
        wanted = 1 + COMMANDS + TOLD
        bus = KafkaBus(town.kafka, town.aggregate.topic, town.group, one.publisher)
        await _settled(one, wanted)
        await _assert_journals(one, wanted)
        first = _first_occurrences(await bus.records(town.aggregate.topic))
        assert first == {dossier: list(range(1, wanted + 1)) for dossier in DOSSIERS}
        (agency_name,) = await _agencies(one)
        shared = _first_occurrences(await bus.records(agency_topic(agency_name)))
        assert shared == {dossier: list(range(1, TOLD + 1)) for dossier in DOSSIERS}
        assert await bus.records(dead_letter_topic(town.group)) == []


async def _write(process: Process, seed: int) -> None:
    """Send every command, in an order of one's own, many at once; both processes are sent the same ones."""
    wanted = [(dossier, number) for dossier in DOSSIERS for number in range(COMMANDS)]
    random.Random(seed).shuffle(wanted)
    for start in range(0, len(wanted), 10):
        group = wanted[start : start + 10]
        await asyncio.gather(
            *(process.journal.record(dossier, add(noted(one + 1)), command(f"k{one}")) for dossier, one in group)
        )


async def _tell(town: Town, publisher: KafkaPublisher) -> None:
    """Another service tells each dossier something, with repeats as its relay may make them."""
    for sequence in range(1, TOLD + 1):
        messages = [record_of(f"{dossier}:7", sequence, CONFIRMED, town.inbox) for dossier in DOSSIERS]
        assert all(await publisher.publish(messages))
        if sequence % 3 == 0:
            assert all(await publisher.publish(messages))


async def _consume(town: Town, worker: Process) -> None:
    async def on_identity_confirmed(received: Received) -> None:
        envelope = received.envelope
        await worker.journal.record(envelope.dossier, add(received.event), Cause.event(envelope))

    handlers: dict[type[Event], Handler] = {IdentityConfirmed: on_identity_confirmed}
    database = await town.mongo.database()
    dispatcher = Dispatcher(town.group, handlers, MongoMarkers(database), worker.publisher, SystemEnvironment())
    await consume(town.kafka.settings(), [town.inbox], dispatcher)


async def _sweep(relay: Relay) -> None:
    while True:
        await relay.sweep()
        await asyncio.sleep(0.01)


async def _settled(process: Process, wanted: int) -> None:
    """Wait until every dossier has so many events, and all of them are published."""
    async with asyncio.timeout(120):
        for dossier in DOSSIERS:
            while not await _is_published(process, dossier, wanted):  # noqa: ASYNC110 - other processes bring it about
                await asyncio.sleep(0.05)


async def _is_published(process: Process, dossier: str, wanted: int) -> bool:
    head = await process.journal.store.load(dossier)
    return head is not None and head.published.sequence >= wanted and not head.pending


async def _assert_journals(process: Process, wanted: int) -> None:
    checked = [one async for one in verify_all(process.journal)]
    assert [(one.subject, one.events, one.findings) for one in checked] == [(d, wanted, ()) for d in DOSSIERS]
    for dossier in DOSSIERS:
        events = await process.journal.store.events(dossier)
        causes = [event["cause"] for event in events]
        assert len(set(causes)) == len(causes) == wanted
        facts = [recorded.event for recorded in await process.journal.recorded(dossier)]
        numbers = [fact.attempts for fact in facts if isinstance(fact, IdentityCheckDelayed)]
        assert sorted(numbers) == sorted([1, *range(1, COMMANDS + 1)])


async def _agencies(process: Process) -> set[str]:
    heads = [await process.journal.store.load(dossier) for dossier in DOSSIERS]
    return {agency for head in heads if head for agency in head.shared}


def _first_occurrences(records: Sequence[Message]) -> dict[str, list[int]]:
    found: dict[str, dict[int, None]] = defaultdict(dict)
    for record in records:
        notes = attributes(record.headers)
        found[notes["subject"]].setdefault(int(notes["sequence"]))
    return {subject: list(sequences) for subject, sequences in sorted(found.items())}


async def _idle() -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def _background(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
