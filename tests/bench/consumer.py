"""`consumer`: identity taking up requested checks from Kafka, beside getmany plus one guarded bulk write per fetch.

Both read the same records and leave as many documents of the same size. Joining the group is not measured.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer
from pymongo import UpdateOne

from services.identity.domain import CHECK
from services.identity.handlers import on_identity_check_requested
from shared.consumer import Dispatcher, Handler
from shared.contracts.dossier import IdentityCheckRequested
from shared.contracts.envelope import Received
from shared.contracts.event import Event
from shared.kafka.client import KafkaPublisher
from shared.kafka.reader import LARGEST_FETCH, consume
from shared.settings import CommonSettings
from shared.store.journals import open_journals
from shared.store.mongo import Database, connect
from shared.store.small import MongoMarkers
from tests.bench.ground import Ground, fresh
from tests.bench.measure import Result, medians
from tests.bench.samples import ENVIRONMENT, journal_of, requests

EVENTS = 4_000


def measure(ground: Ground) -> list[Result]:
    """Return events a second."""
    return asyncio.run(_measure(ground))


@dataclass
class Watch:
    """Counts handled events and takes the time from the first to the last."""

    left: int
    began: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """The first record is there."""
        if not self.began:
            self.began, self.cpu_seconds = time.perf_counter(), -time.process_time()

    def handled(self, count: int) -> None:
        """So many more are stored."""
        self.left -= count
        if self.left == 0:
            self.seconds = time.perf_counter() - self.began
            self.cpu_seconds += time.process_time()
            self.done.set()

    def around(self, handler: Handler) -> Handler:
        """Return the handler, watched."""

        async def handle(received: Received) -> None:
            self.start()
            await handler(received)
            self.handled(1)

        return handle


async def _measure(ground: Ground) -> list[Result]:
    settings, topic = ground.settings(), await ground.topic("consumer")
    async with AsyncExitStack() as opened:
        database = await opened.enter_async_context(connect(ground.mongo_uri(fresh("consumer"))))
        publisher = KafkaPublisher(settings)
        await publisher.connect()
        opened.push_async_callback(publisher.close)
        await publisher.publish(requests(topic, EVENTS))
        name = await ours(settings, database, topic, publisher, Watch(EVENTS))
        sample = await database[name].find_one({})
        own, limit = list[Watch](), list[Watch]()
        for _ in range(ground.rounds):
            own.append(Watch(EVENTS))
            await ours(settings, database, topic, publisher, own[-1])
            limit.append(Watch(EVENTS))
            await bare(settings, database, topic, sample or {}, limit[-1])
    used, bare_used = ([1e6 * watch.cpu_seconds / EVENTS for watch in found] for found in (own, limit))
    rates, bound = ([EVENTS / watch.seconds for watch in found] for found in (own, limit))
    return [Result("consumer", "events/s", rates, bound, notes={"cpu_us_per_event": medians(used, bare_used)})]


async def ours(
    settings: CommonSettings, database: Database, topic: str, publisher: KafkaPublisher, watch: Watch
) -> str:
    """Consume with the product's own parts into a fresh collection; return its name."""
    name = fresh("checks")
    checks = journal_of(CHECK, await open_journals(database, name))
    handler = watch.around(on_identity_check_requested(checks, timedelta(hours=1)))
    subscriptions: dict[type[Event], Handler] = {IdentityCheckRequested: handler}
    dispatcher = Dispatcher(fresh("ours"), subscriptions, MongoMarkers(database), publisher, ENVIRONMENT)
    running = asyncio.create_task(consume(settings, [topic], dispatcher))
    await watch.done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    if await database[name].count_documents({}) != EVENTS:
        raise RuntimeError("not every check was opened")
    return name


async def bare(settings: CommonSettings, database: Database, topic: str, sample: dict[str, Any], watch: Watch) -> None:
    """Consume with one bulk write per fetch, guarded by version, of documents like ours."""
    name = fresh("bare")
    await open_journals(database, name)  # the same indexes and validator
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=fresh("bare"),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    while not watch.done.is_set():
        fetched = await consumer.getmany(timeout_ms=500, max_records=LARGEST_FETCH)
        records = [record for part in fetched.values() for record in part]
        if records:
            watch.start()
            await database[name].bulk_write([_write(record, sample) for record in records], ordered=False)
            await consumer.commit()
            watch.handled(len(records))
    await consumer.stop()


def _write(record: Any, sample: dict[str, Any]) -> UpdateOne:
    subject, data = f"{record.key.decode()}:3", orjson.loads(record.value)
    event = {**sample["events"][0], "id": f"{subject}:1", "read": data["step"]}
    first = {**sample, "events": [event], "version": 1}
    del first["_id"]
    return UpdateOne({"_id": subject, "version": 0}, {"$set": first}, upsert=True)
