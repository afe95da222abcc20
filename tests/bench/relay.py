"""`relay`: publishing what lies unpublished in MongoDB, beside a bare loop of find, send, mark; and the hand-over.

Same input (documents of intake) and output (the same records with the same headers, the documents marked).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from pymongo import UpdateOne

from shared.contracts.envelope import SCHEMA_BASE
from shared.journal.fold import canonical
from shared.journal.model import NOTHING_PUBLISHED
from shared.kafka.client import BATCH_BYTES, KafkaPublisher
from shared.relay import Relay
from shared.store.journals import open_journals
from shared.store.mongo import Collection, connect
from tests.bench.ground import Ground, fresh
from tests.bench.measure import Result
from tests.bench.samples import ENVIRONMENT, dossiers, journal_of, store, template

DOSSIERS = 2_000
GROUP = 500


def measure(ground: Ground) -> list[Result]:
    """Return events a second from a backlog (`relay`) and of what was just saved (`relay-handover`)."""
    return asyncio.run(_measure(ground))


@dataclass
class Bench:
    """Documents to publish, and who does it."""

    documents: Collection
    sample: dict[str, Any]
    relay: Relay
    producer: AIOKafkaProducer
    topic: str
    filled: int = 0

    async def rate(self, publish: Callable[[], Awaitable[None]]) -> float:
        """Store new unpublished documents, publish them, return events a second."""
        numbers = range(self.filled + 1, self.filled + DOSSIERS + 1)
        self.filled += DOSSIERS
        await store(self.documents, self.sample, numbers, pending=True)
        found = [document async for document in self.documents.find({"pending": True})]
        if publish == self.handed_over:
            for document in found:
                self.relay.saved(document["_id"], NOTHING_PUBLISHED, tuple(document["events"]), ())
        began = time.perf_counter()
        await publish()
        seconds = time.perf_counter() - began
        if await self.documents.count_documents({"pending": True}):
            raise RuntimeError("something was not published")
        return sum(len(document["events"]) for document in found) / seconds

    async def swept(self) -> None:
        """Ours, from the store."""
        while await self.relay.sweep(GROUP) == GROUP:
            pass

    async def handed_over(self) -> None:
        """Ours, from memory."""
        running = asyncio.create_task(self.relay.run())
        while await self.documents.find_one({"pending": True}, {"_id": 1}):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        running.cancel()

    async def bare(self) -> None:
        """The limit."""
        while found := await self.documents.find({"pending": True}).sort("updated_at").limit(GROUP).to_list(GROUP):
            sent = [await self._send(document, event) for document in found for event in document["events"]]
            await asyncio.gather(*sent)
            marks = [
                UpdateOne({"_id": document["_id"]}, {"$set": {"published": document["head"]}, "$unset": {"pending": 1}})
                for document in found
            ]
            await self.documents.bulk_write(marks, ordered=False)

    async def _send(self, document: dict[str, Any], event: dict[str, Any]) -> "asyncio.Future[Any]":
        key = document["_id"].encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", event["id"].encode()),
            ("ce_source", b"//dossierbus/emmen/intake"),
            ("ce_type", event["type"].encode()),
            ("ce_subject", key),
            ("ce_sequence", b"%010d" % event["seq"]),
            ("ce_time", event["time"].encode()),
            ("ce_tenant", b"emmen"),
            ("ce_partitionkey", key),
            ("ce_dataschema", f"{SCHEMA_BASE}/{event['type']}.json".encode()),
            ("ce_traceparent", event["trace"].encode()),
            ("ce_mac", event["mac"].encode()),
            ("content-type", b"application/json"),
            ("traceparent", event["trace"].encode()),
        ]
        future: asyncio.Future[Any] = await self.producer.send(
            self.topic, key=key, value=canonical(event["data"]), headers=headers
        )
        return future


async def _measure(ground: Ground) -> list[Result]:
    async with AsyncExitStack() as opened:
        bench = await _bench(ground, opened)
        await bench.rate(bench.swept)
        await bench.rate(bench.bare)
        swept, handed_over, bare = list[float](), list[float](), list[float]()
        for _ in range(ground.rounds):
            for found, publish in ((swept, bench.swept), (bare, bench.bare), (handed_over, bench.handed_over)):
                found.append(await bench.rate(publish))
    return [Result("relay", "events/s", swept, bare), Result("relay-handover", "events/s", handed_over, bare)]


async def _bench(ground: Ground, opened: AsyncExitStack) -> Bench:
    settings = ground.settings()
    database = await opened.enter_async_context(connect(ground.mongo_uri(fresh("relay"))))
    topic = await ground.topic("relay")
    publisher = KafkaPublisher(settings)
    await publisher.connect()
    opened.push_async_callback(publisher.close)
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
    )
    await producer.start()
    opened.push_async_callback(producer.stop)
    journal = journal_of(dossiers(topic), await open_journals(database, "dossiers"))
    documents = database["dossiers"]
    sample = await template(journal, documents)
    return Bench(documents, sample, Relay(journal, publisher, ENVIRONMENT), producer, topic)
