"""Noticing a broker that came back empty. The journals, not the topics, are the source of truth.

The cluster's id is kept in each service's database. Another id, or an own topic that is empty although there are
journals, begins another filling of the topics: everything is published again. Roles that were running end with
`BrokerReplaced` and start anew; until they do, the fence keeps them from the new cluster.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.contracts.topics import Topic
from shared.environment import Environment
from shared.errors import BrokerReplaced, BrokerUnavailable, Transient
from shared.journal.model import Filling, JournalStore
from shared.kafka.client import cluster_id, ensure_topics, stop_reading
from shared.kafka.connection import connection
from shared.settings import CommonSettings

log = logging.getLogger(__name__)

WATCH_SECONDS = 5.0
LOOK_SECONDS = 5.0


class Installation(Protocol):
    """Remembers the present filling."""

    async def filling(self) -> Filling | None:
        """Return the remembered one, or None before the first start."""
        ...

    async def remember(self, filling: Filling) -> None:
        """Remember it."""
        ...


async def prepare(
    settings: CommonSettings,
    topics: Sequence[Topic],
    own: str | None,
    stores: Sequence[JournalStore],
    installation: Installation,
) -> str:
    """Make sure of the topics and have everything published again to an empty broker; return the cluster's id.

    `own` is the topic this service writes. Raises `BrokerUnavailable`, `StorageUnavailable`, `WrongPartitions`.
    """
    present, remembered = await cluster_id(settings), await installation.filling()
    await ensure_topics(settings, topics)
    now = Filling(present, remembered.number if remembered else 0)
    if remembered and (remembered.cluster != present or await _lost(settings, own, stores)):
        now = Filling(present, remembered.number + 1)
        marked = sum([await store.republish(now.number) for store in stores])
        log.warning("broker_was_empty", extra={"count": marked})
    for store in stores:
        store.fill = max(store.fill, now.number)
    if remembered != now:
        await installation.remember(now)
    return present


async def watch(settings: CommonSettings, started_with: str, own: str | None, environment: Environment) -> None:
    """Look at the broker for ever. Raises `BrokerReplaced` when it is another or an emptied one."""
    filled = False
    while True:
        await environment.sleep(WATCH_SECONDS)
        try:
            # Told apart first: a broker that has no topics any more cannot be asked whether one is empty.
            replaced = await cluster_id(settings) != started_with
            empty = not replaced and own is not None and await _is_empty(settings, own)
        except Transient:
            continue
        if replaced or (filled and empty):
            raise BrokerReplaced("the broker came back empty")
        filled = filled or not empty


async def _lost(settings: CommonSettings, own: str | None, stores: Sequence[JournalStore]) -> bool:
    """Return whether there are journals, but no record on the own topic."""
    any_journals = any([await store.subjects(limit=1) for store in stores])
    return any_journals and own is not None and await _is_empty(settings, own)


async def _is_empty(settings: CommonSettings, topic: str) -> bool:
    """Return whether no record was ever written to a topic."""
    consumer = AIOKafkaConsumer(**connection(settings))
    parts = [TopicPartition(topic, number) for number in range(settings.kafka_partitions)]
    try:
        # Asked of a broker that lost the topic meanwhile, the client would look for it for 40 seconds.
        async with asyncio.timeout(LOOK_SECONDS):
            await consumer.start()
            ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
    except (KafkaError, OSError) as error:
        raise BrokerUnavailable(type(error).__name__) from error
    finally:
        await stop_reading(consumer)
    return sum(ends.values()) == 0
