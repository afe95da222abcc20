"""The newest aggregate of every partition, read from `analytics.kpis`. Owns no offset: each process reads all of it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.analytics.aggregate import Aggregate, decode, newer
from services.analytics.view import Kpis, Targets, view
from shared.contracts.topics import KPIS
from shared.kafka.client import started
from shared.kafka.connection import connection
from shared.settings import CommonSettings

log = logging.getLogger(__name__)

POLL_MS: Final = 500


@dataclass
class Board:
    """What the API tells. `partitions`: how many an installation has."""

    partitions: int
    targets: Targets
    caught_up: bool = False
    closed: bool = False
    revision: int = 0
    _aggregates: dict[int, Aggregate] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, aggregate: Aggregate) -> None:
        """Note an aggregate unless a newer one of its partition is known."""
        present = self._aggregates.get(aggregate.partition)
        if not newer(present, aggregate):
            log.info("older_aggregate_dropped", extra={"partition": aggregate.partition, "member": aggregate.worker})
            return
        self._aggregates[aggregate.partition] = aggregate
        if present is None or present.totals != aggregate.totals:
            self.revision += 1
            self._wake()

    def aggregates(self) -> list[Aggregate]:
        """Return the newest aggregate of each partition that told one."""
        return list(self._aggregates.values())

    def kpis(self) -> Kpis:
        """Return the KPIs now."""
        return view(self.aggregates(), self.partitions, self.targets)

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        self._wake()

    async def changes(self, pause: float, longest: float) -> AsyncIterator[None]:
        """Yield at once, after changes (`pause` seconds apart) and after `longest` without one; end when closed."""
        while not self.closed:
            news = self._news
            yield
            await asyncio.sleep(pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(longest):
                    await news.wait()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


async def follow(settings: CommonSettings, board: Board) -> None:
    """Read all aggregates from the first on, for ever."""
    consumer = AIOKafkaConsumer(**connection(settings), auto_offset_reset="earliest", enable_auto_commit=False)
    await started(consumer)
    try:
        parts = [TopicPartition(KPIS, number) for number in range(settings.kafka_partitions)]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
        while True:
            await _one_fetch(consumer, board)
            if not board.caught_up:
                board.caught_up = all([await consumer.position(part) >= ends[part] for part in parts])
    finally:
        await consumer.stop()


async def _one_fetch(consumer: AIOKafkaConsumer, board: Board) -> None:
    try:
        fetched = await consumer.getmany(timeout_ms=POLL_MS)
    except KafkaError as error:
        log.warning("fetch_failed", extra={"topic": KPIS, "error_type": type(error).__name__})
        return
    for records in fetched.values():
        for record in records:
            aggregate = decode(record.value)
            if aggregate is None or aggregate.partition >= board.partitions:
                log.warning("aggregate_not_readable", extra={"topic": KPIS, "offset": record.offset})
            else:
                board.take(aggregate)
