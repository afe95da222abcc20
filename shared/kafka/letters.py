"""Dead-letter topics in Kafka: reading letters, and seeing whether a group has dealt with a topic. Commits nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.contracts.envelope import Message
from shared.contracts.topics import dead_letter_topic
from shared.errors import BrokerUnavailable
from shared.kafka.client import admin, partition_of, stop_reading
from shared.kafka.connection import connection
from shared.kafka.reader import message_of
from shared.settings import CommonSettings

PATIENCE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.2


class KafkaLetters:
    """The letters of all groups on one broker. See `shared.redrive.Letters` for the contract."""

    def __init__(self, settings: CommonSettings, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._settings = settings
        self._patience = patience_seconds

    async def read(self, group: str, key: str) -> list[Message]:
        """Return all letters of a group with this key, oldest first."""
        number = partition_of(key.encode(), self._settings.kafka_partitions)
        parts = [TopicPartition(dead_letter_topic(group), number)]
        return [letter for letter in await self._records(parts) if letter.key == key.encode()]

    async def all(self, group: str) -> list[Message]:
        """Return all letters of a group, partition by partition."""
        topic = dead_letter_topic(group)
        return await self._records([TopicPartition(topic, n) for n in range(self._settings.kafka_partitions)])

    async def consumed(self, group: str, topics: Sequence[str], key: str) -> bool:
        """Wait until the group has dealt with what now lies on these topics for this key; False if it does not."""
        number = partition_of(key.encode(), self._settings.kafka_partitions)
        parts = [TopicPartition(topic, number) for topic in topics]
        async with self._consumer() as consumer:
            ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
        async with admin(self._settings) as client:
            for _ in range(int(self._patience / LOOK_SECONDS) + 1):
                offsets = await client.list_consumer_group_offsets(group, partitions=parts)
                # -1: nothing was ever committed there.
                if all(max(0, offsets[part].offset) >= ends[part] for part in parts):
                    return True
                await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _records(self, parts: Sequence[TopicPartition]) -> list[Message]:
        found: list[Message] = []
        async with self._consumer() as consumer:
            consumer.assign(parts)
            await consumer.seek_to_beginning()
            ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
            for part in parts:
                while await consumer.position(part) < ends[part]:
                    records = await consumer.getmany(part, timeout_ms=1000)
                    found += [message_of(record) for record in records.get(part, ())]
        return found

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(**connection(self._settings), isolation_level="read_committed")
        try:
            await consumer.start()
            yield consumer
        except (KafkaError, OSError) as error:
            raise BrokerUnavailable(type(error).__name__) from error
        finally:
            await stop_reading(consumer)
