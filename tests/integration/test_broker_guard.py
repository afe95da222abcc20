"""A broker that comes back empty is noticed, and everything is published again; on genuine Kafka and MongoDB."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.stack import Stack
from shared.contracts.topics import Topic
from shared.environment import SystemEnvironment
from shared.errors import BrokerReplaced
from shared.journal.model import Filling, Watermark
from shared.kafka import fence, guard
from shared.kafka.client import KafkaPublisher, WrongPartitions, cluster_id, ensure_topics
from shared.kafka.fence import keep_to
from shared.runtime import patiently
from shared.store.journals import MongoJournalStore, open_journals
from shared.store.mongo import Database
from shared.store.small import MongoInstallation
from tests.integration.conftest import Kafka, Mongo, fresh
from tests.unit.sample_journal import QuickEnvironment, Writer, noted, record_of


class Service:
    """One service with a published journal."""

    def __init__(self, kafka: Kafka, database: Database, store: MongoJournalStore) -> None:
        self.settings = kafka.settings()
        self.topic = Topic(fresh("own"), "tests", (), ())
        self.store, self.installation = store, MongoInstallation(database)

    async def prepare(self) -> str:
        """What every role does first."""
        stores = [self.store]
        return await patiently(
            lambda: guard.prepare(self.settings, [self.topic], self.topic.name, stores, self.installation),
            SystemEnvironment(),
        )

    async def publish(self, sequence: int = 1) -> None:
        """Put an event on the own topic and note it as published."""
        publisher = KafkaPublisher(self.settings)
        await publisher.connect()
        assert await publisher.publish([record_of("d1", sequence, noted(1), self.topic.name)]) == [True]
        await publisher.close()
        await self.store.mark_published("d1", Watermark(self.store.fill, 0), sequence)

    async def watermark(self) -> int:
        """How far d1 counts as published."""
        head = await self.store.load("d1")
        assert head is not None
        return head.published.sequence


@pytest.fixture
async def service(mongo: Mongo, kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service that started once and published its only event."""
    monkeypatch.setattr(guard, "WATCH_SECONDS", 0.1)
    database = await mongo.database()
    service = Service(kafka, database, await open_journals(database, "tallies"))
    await service.prepare()
    await Writer(service.store, QuickEnvironment()).write("d1", "c1")
    await service.publish()
    return service


async def test_a_restart_publishes_nothing_again(service: Service) -> None:
    """On the same cluster the journals stay as they are."""
    assert await service.prepare() == await cluster_id(service.settings)
    assert await service.watermark() == 1


async def test_another_partition_count_is_refused(service: Service, kafka: Kafka) -> None:
    """The number of partitions is fixed for the life of an installation."""
    service.settings = kafka.settings(kafka_partitions=3)
    with pytest.raises(WrongPartitions, match="6"):
        await service.prepare()


async def test_an_emptied_topic_is_noticed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The own topic was deleted and made anew on the same cluster: the role ends, and the next start refills."""
    looked, genuine = asyncio.Event(), guard._is_empty

    async def look(*arguments: Any) -> bool:
        empty = await genuine(*arguments)
        looked.set()
        return empty

    monkeypatch.setattr(guard, "_is_empty", look)
    watching = asyncio.create_task(_watch(service))
    await looked.wait()
    admin = AIOKafkaAdminClient(bootstrap_servers=service.settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_topics([service.topic.name])
    await admin.close()
    assert await service.prepare()
    assert await service.watermark() == 0
    with pytest.raises(BrokerReplaced):
        await asyncio.wait_for(watching, 30)


async def test_a_replaced_broker_is_noticed(service: Service, stack: Stack) -> None:
    """Another cluster at the same address: running roles end; the next start marks everything as unpublished, once."""
    before = await cluster_id(service.settings)
    watching = asyncio.create_task(_watch(service))
    await asyncio.to_thread(stack.wipe_broker)
    with pytest.raises(BrokerReplaced):
        await asyncio.wait_for(watching, 30)
    assert await service.prepare() != before
    assert await service.watermark() == 0
    assert await service.installation.filling() == Filling(await cluster_id(service.settings), 1)
    await service.publish()
    await service.prepare()
    assert await service.watermark() == 1


async def test_clients_keep_to_their_cluster(service: Service, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that went on running while the broker was replaced and its topics were made anew writes nothing to them
    and reads nothing from them; new clients do both."""
    kept = KafkaPublisher(service.settings)
    before = await cluster_id(service.settings)
    await kept.connect(before)
    consumer = AIOKafkaConsumer(service.topic.name, bootstrap_servers=service.settings.kafka_bootstrap_servers)
    keep_to(consumer._client, before)
    await consumer.start()
    refused = _refusals(monkeypatch, 2)
    await asyncio.to_thread(stack.wipe_broker)
    await patiently(lambda: ensure_topics(service.settings, [service.topic]), SystemEnvironment())
    late = asyncio.create_task(kept.publish([record_of("d1", 2, noted(2), service.topic.name)]))
    fetched = asyncio.create_task(consumer.getone())
    await asyncio.wait_for(refused.wait(), 60)
    assert await guard._is_empty(service.settings, service.topic.name)
    fresh_one = KafkaPublisher(service.settings)
    await fresh_one.connect(await cluster_id(service.settings))
    assert await fresh_one.publish([record_of("d1", 1, noted(1), service.topic.name)]) == [True]
    refused = _refusals(monkeypatch, 2)
    await asyncio.wait_for(refused.wait(), 60)
    assert not (late.done() and late.result() == [True])
    assert not fetched.done()
    for task in (late, fetched):
        task.cancel()
    await asyncio.gather(late, fetched, return_exceptions=True)
    for close in (consumer.stop, kept.close, fresh_one.close):
        # aiokafka's consumer ends so when its last fetch had failed.
        with suppress(asyncio.CancelledError):
            await close()
    assert await _records(service) == 1


async def _records(service: Service) -> int:
    reader = AIOKafkaConsumer(bootstrap_servers=service.settings.kafka_bootstrap_servers)
    await reader.start()
    ends = await reader.end_offsets([TopicPartition(service.topic.name, number) for number in range(6)])
    await reader.stop()
    return sum(ends.values())


def _refusals(monkeypatch: pytest.MonkeyPatch, count: int) -> asyncio.Event:
    """Return an event that is set once the fence has refused so many connections from now on."""
    reached, seen = asyncio.Event(), []

    def refuse(*_: object) -> None:
        seen.append(1)
        if len(seen) >= count:
            reached.set()

    monkeypatch.setattr(fence.log, "warning", refuse)
    return reached


async def _watch(service: Service) -> None:
    await guard.watch(service.settings, await cluster_id(service.settings), service.topic.name, SystemEnvironment())
