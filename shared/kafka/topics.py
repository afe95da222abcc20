"""Reading whole topics without a group, and how far a group has come. Commits nothing and changes nothing."""

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.contracts.envelope import Message
from shared.errors import BrokerUnavailable
from shared.kafka.client import admin, stop_reading
from shared.kafka.connection import connection
from shared.kafka.fence import keep_to
from shared.kafka.reader import message_of
from shared.settings import CommonSettings

Place = tuple[str, int]
"""A topic's name and the number of a partition."""


@dataclass(frozen=True, slots=True)
class Span:
    """What was read of a partition: from the offset on, up to but without `end`; `whole` if nothing was left out."""

    start: int
    end: int
    whole: bool


class KafkaTopics:
    """The topics of one broker. Every method raises `BrokerUnavailable`.

    `cluster`: the only one that `spans` and `read` ask; `committed` asks whichever answers.
    """

    def __init__(self, settings: CommonSettings, cluster: str | None = None) -> None:
        self._settings = settings
        self._cluster = cluster

    async def spans(self, topics: Sequence[str], since: datetime | None) -> dict[Place, Span]:
        """Return what there is to read now, of records written since then (None: of all that the broker still has)."""
        parts = [TopicPartition(topic, number) for topic in topics for number in range(self._settings.kafka_partitions)]
        consumer = self._consumer()
        try:
            await consumer.start()
            ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
            starts: dict[TopicPartition, int] = await consumer.beginning_offsets(parts)
            if since is not None:
                found = await consumer.offsets_for_times(dict.fromkeys(parts, int(since.timestamp() * 1000)))
                starts = {part: found[part].offset if found[part] else ends[part] for part in parts}
        except (KafkaError, OSError) as error:
            raise BrokerUnavailable(type(error).__name__) from error
        finally:
            await stop_reading(consumer)
        return {(part.topic, part.partition): Span(starts[part], ends[part], starts[part] == 0) for part in parts}

    async def read(self, spans: Mapping[Place, Span]) -> AsyncIterator[Message]:
        """Yield the records of these spans, each partition in its order."""
        parts = [TopicPartition(*place) for place, span in spans.items() if span.start < span.end]
        if not parts:
            return
        consumer = self._consumer()
        try:
            await consumer.start()
            async for record in _records(consumer, parts, spans):
                yield message_of(record)
        except (KafkaError, OSError) as error:
            raise BrokerUnavailable(type(error).__name__) from error
        finally:
            await stop_reading(consumer)

    async def committed(self, group: str, topics: Sequence[str]) -> dict[Place, int]:
        """Return the next offset of a group by partition; 0 where it never committed."""
        parts = [TopicPartition(topic, number) for topic in topics for number in range(self._settings.kafka_partitions)]
        async with admin(self._settings) as client:
            offsets = await client.list_consumer_group_offsets(group, partitions=parts)
        return {(part.topic, part.partition): max(0, offsets[part].offset) for part in parts}

    def _consumer(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(**connection(self._settings), isolation_level="read_committed")
        if self._cluster is not None:
            keep_to(consumer._client, self._cluster)  # noqa: SLF001 - see shared.kafka.fence
        return consumer


async def _records(
    consumer: AIOKafkaConsumer, parts: Sequence[TopicPartition], spans: Mapping[Place, Span]
) -> AsyncIterator[Any]:
    consumer.assign(parts)
    for part in parts:
        consumer.seek(part, spans[part.topic, part.partition].start)
    while left := [part for part in parts if await _is_before(consumer, part, spans)]:
        fetched = await consumer.getmany(*left, timeout_ms=500)
        for record in itertools.chain.from_iterable(fetched.values()):
            if record.offset < spans[record.topic, record.partition].end:
                yield record


async def _is_before(consumer: AIOKafkaConsumer, part: TopicPartition, spans: Mapping[Place, Span]) -> bool:
    position: int = await consumer.position(part)
    return position < spans[part.topic, part.partition].end
