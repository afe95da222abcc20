"""Connections to Kafka: topics, the broker's identity, publishing. Owns no group and reads nothing."""

import asyncio
import functools
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError
from aiokafka.partitioner import murmur2

from shared.contracts.envelope import Message
from shared.contracts.topics import Topic
from shared.errors import BrokerUnavailable, Permanent
from shared.kafka.connection import connection
from shared.kafka.fence import keep_to, named
from shared.meters import record_published
from shared.settings import CommonSettings

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_MS: Final = 10_000
LOOKUP_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 5.0
BATCH_BYTES: Final = 1_000_000


class WrongPartitions(Permanent):
    """A topic has another number of partitions than this installation was made with."""


def partition_of(key: bytes | None, partitions: int) -> int:
    """Return the partition of a key, as the Java client's default partitioner computes it."""
    return _hashed(key or b"") % partitions


@functools.lru_cache(maxsize=8192)
def _hashed(key: bytes) -> int:
    """The hash is computed in Python by the library, and a dossier's records come together."""
    hashed: int = murmur2(key)
    return hashed & 0x7FFFFFFF


@asynccontextmanager
async def admin(settings: CommonSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Yield an administration client. Raises `BrokerUnavailable`."""
    client = AIOKafkaAdminClient(**connection(settings), request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as error:
        raise BrokerUnavailable(type(error).__name__) from error
    finally:
        await client.close()


async def cluster_id(settings: CommonSettings) -> str:
    """Return the id the cluster gave itself when its storage was made. Raises `BrokerUnavailable`."""
    async with admin(settings) as client:
        description: dict[str, Any] = await client.describe_cluster()
    return named(description.get("cluster_id"))


async def ensure_topics(settings: CommonSettings, topics: Iterable[Topic]) -> None:
    """Create what is missing, if this installation creates topics, and check the partition count of all.

    Raises `BrokerUnavailable` while topics are missing, `WrongPartitions` for good.
    """
    wanted = {topic.name: topic for topic in topics}
    async with admin(settings) as client:
        existing = await _partitions(client, wanted)
        missing = [wanted[name] for name in wanted if name not in existing]
        if missing and settings.kafka_create_topics:
            await _create(client, settings, missing)
            existing = await _partitions(client, wanted)
    wrong = {name: count for name, count in existing.items() if count != settings.kafka_partitions}
    if wrong:
        raise WrongPartitions(f"{wrong} instead of {settings.kafka_partitions} partitions (KAFKA_PARTITIONS)")
    absent = sorted(set(wanted) - set(existing))
    if absent:
        raise BrokerUnavailable(f"topics missing: {', '.join(absent)}")


async def _partitions(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    described = await client.describe_topics(list(names))
    return {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}


async def _create(client: AIOKafkaAdminClient, settings: CommonSettings, topics: Sequence[Topic]) -> None:
    new = [
        NewTopic(
            topic.name,
            settings.kafka_partitions,
            settings.kafka_replication,
            topic_configs={**_configuration(topic), "min.insync.replicas": str(in_sync(settings.kafka_replication))},
        )
        for topic in topics
    ]
    try:
        await client.create_topics(new)
    except TopicAlreadyExistsError:
        log.info("topics_already_created")


def in_sync(copies: int) -> int:
    """Return how many copies must have a record before it counts: at least half, so that one of three may be away."""
    return (copies + 1) // 2


def _configuration(topic: Topic) -> dict[str, str]:
    if topic.compacted:
        return {"cleanup.policy": "compact"}
    return {"cleanup.policy": "delete", "retention.ms": str(topic.retention_ms)}


class KafkaPublisher:
    """Publishes groups of records: per partition one atomic batch after the other, all partitions at once."""

    def __init__(self, settings: CommonSettings) -> None:
        self._settings = settings
        self._cluster: str | None = None
        self._producer = self._new_producer()
        self._renewal = asyncio.Lock()
        self._broken = False
        self.connected = False

    async def connect(self, cluster: str | None = None) -> None:
        """Wait for the broker; until then every record counts as not acknowledged.

        `cluster`: the only one to publish to, even when another answers at the same address later.
        """
        self._cluster = cluster
        await self._start()
        self.connected = True

    async def close(self) -> None:
        """Send what is under way, for some seconds, and disconnect; the journals keep what was not acknowledged."""
        await _stop(self._producer)

    async def publish(self, messages: Sequence[Message]) -> list[bool]:
        """Send the records in order per partition; per record, whether it was acknowledged."""
        acknowledged = [False] * len(messages)
        if self._broken:
            await self._renew()
        if not self.connected:
            return acknowledged
        topics = {message.topic for message in messages}
        counts = dict(zip(topics, await asyncio.gather(*map(self._partition_count, topics)), strict=True))
        partitions: dict[tuple[str, int], list[int]] = defaultdict(list)
        for index, message in enumerate(messages):
            if count := counts[message.topic]:
                partitions[message.topic, partition_of(message.key, count)].append(index)
        await asyncio.gather(
            *(self._send(target, indexes, messages, acknowledged) for target, indexes in partitions.items())
        )
        return acknowledged

    def _new_producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **connection(self._settings),
            acks="all",
            enable_idempotence=self._settings.kafka_idempotence,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=200,
        )

    async def _start(self) -> None:
        if self._cluster is not None:
            keep_to(self._producer.client, self._cluster)
        await started(self._producer)

    async def _renew(self) -> None:
        """Take a new producer: one whose batch was refused has a gap in its sequence and is refused for ever."""
        async with self._renewal:
            if not self._broken:
                return
            refused, self._producer, self.connected = self._producer, self._new_producer(), False
            await self._start()
            self._broken, self.connected = False, True
        with suppress(KafkaError):
            await _stop(refused)

    async def _partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if it is not there, for which nobody else is to wait long."""
        try:
            return len(await asyncio.wait_for(self._producer.partitions_for(topic), LOOKUP_SECONDS))
        except (KafkaError, TimeoutError) as error:
            log.warning("topic_not_known", extra={"topic": topic, "error_type": type(error).__name__})
            return 0

    async def _send(
        self, target: tuple[str, int], indexes: list[int], messages: Sequence[Message], acknowledged: list[bool]
    ) -> None:
        topic, partition = target
        producer = self._producer
        while indexes:
            taken, batch = _filled(producer.create_batch(), indexes, messages)
            began = time.perf_counter()
            try:
                await (await producer.send_batch(batch, topic, partition=partition))
            except (KafkaError, OSError) as error:
                log.warning("publish_failed", extra={"topic": topic, "error_type": type(error).__name__})
                may_be_sent_again = getattr(error, "retriable", True) or isinstance(error, KafkaTimeoutError)
                self._broken = self._broken or (producer is self._producer and not may_be_sent_again)
                return
            for index in taken:
                acknowledged[index] = True
            record_published(topic, len(taken), time.perf_counter() - began)
            indexes = indexes[len(taken) :]


async def _stop(producer: AIOKafkaProducer) -> None:
    stopping = asyncio.ensure_future(producer.stop())
    await asyncio.wait({stopping}, timeout=CLOSE_SECONDS)
    sender = producer._sender.sender_task  # noqa: SLF001 - an idempotent producer tries again for ever
    if not stopping.done() and sender is not None:
        sender.cancel()
    await stopping


def _filled(batch: Any, indexes: Sequence[int], messages: Sequence[Message]) -> tuple[list[int], Any]:
    """Return the first of these records that a batch can take, at least one, and the batch with them."""
    taken = []
    for index in indexes:
        message = messages[index]
        if batch.append(key=message.key, value=message.value, timestamp=None, headers=message.headers) is None:
            break
        taken.append(index)
    batch.close()
    return taken, batch


async def started(client: Any) -> None:
    """Start a client, waiting for a broker that is not there yet."""
    while True:
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            log.warning("broker_not_reachable", extra={"error_type": type(error).__name__})
            await asyncio.sleep(1)
        else:
            return


async def stop_reading(consumer: Any) -> None:
    """Stop a consumer that is in no group.

    aiokafka ends this with a cancellation when the consumer was assigned nothing, which is not meant for the caller.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait({stopping})
    if not stopping.cancelled():
        stopping.result()
