"""Reading topics as a consumer group: fetch, dispatch, then commit. Owns offsets; knows no event."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared.consumer import Dispatcher
from shared.contracts.envelope import Message
from shared.kafka.client import started
from shared.kafka.connection import connection
from shared.kafka.fence import keep_to
from shared.kafka.lag import Lag
from shared.settings import CommonSettings

log = logging.getLogger(__name__)

LARGEST_FETCH: Final = 500
POLL_MS: Final = 500
AFTER_FAILURE_SECONDS: Final = 1.0
MAX_POLL_INTERVAL_MS: Final = 3_600_000


class _LoadMarkers(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def on_partitions_revoked(self, revoked: object) -> None:
        """Nothing: what is under way is harmless when repeated."""

    async def on_partitions_assigned(self, assigned: object) -> None:
        """Another member may have set dossiers aside."""
        await self._dispatcher.load_markers()


async def consume(
    settings: CommonSettings,
    topics: Sequence[str],
    dispatcher: Dispatcher,
    cluster: str | None = None,
    leaving: asyncio.Event | None = None,
) -> None:
    """Read the topics until `leaving` is set, then leave the group at once, so that others need not wait for us.

    Offsets are committed only after every record of a fetch was dealt with. What is fetched is the back-pressure: while
    one fetch is dealt with nothing else is asked for, and the client holds no more than it fetched ahead.
    `cluster`: the only one to read from: a position in the old topics means nothing in those that replace them.
    """
    leaving = leaving or asyncio.Event()
    consumer = AIOKafkaConsumer(
        **connection(settings),
        group_id=dispatcher.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=settings.kafka_session_timeout_ms,
        heartbeat_interval_ms=settings.kafka_session_timeout_ms // 3,
        max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        max_poll_records=LARGEST_FETCH,
        request_timeout_ms=max(20_000, settings.kafka_session_timeout_ms + 5_000),
    )
    if cluster is not None:
        keep_to(consumer._client, cluster)  # noqa: SLF001 - see `fence`
    consumer.subscribe(list(topics), listener=_LoadMarkers(dispatcher))
    try:
        await started(consumer)
        lag = Lag(dispatcher.group)
        while not leaving.is_set():
            await _one_fetch(consumer, dispatcher, lag)
    finally:
        await consumer.stop()


async def _one_fetch(consumer: AIOKafkaConsumer, dispatcher: Dispatcher, lag: Lag) -> None:
    try:
        fetched: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=POLL_MS, max_records=LARGEST_FETCH)
    except KafkaError as error:
        log.warning("fetch_failed", extra={"group": dispatcher.group, "error_type": type(error).__name__})
        await asyncio.sleep(AFTER_FAILURE_SECONDS)
        return
    lag.keep_only(consumer.assignment())
    if not fetched:
        _tell_quiet(consumer, lag)
        return
    lag.taken({part: records[0].timestamp / 1000 for part, records in fetched.items()})
    await dispatcher.dispatch([message_of(record) for records in fetched.values() for record in records])
    await _commit(consumer, dispatcher.group, {part: records[-1].offset + 1 for part, records in fetched.items()})
    for part in consumer.assignment() & fetched.keys():
        last = fetched[part][-1]
        # What comes next is not older than the last one.
        lag.tell(part, max(0, (consumer.highwater(part) or 0) - last.offset - 1), last.timestamp / 1000)


def _tell_quiet(consumer: AIOKafkaConsumer, lag: Lag) -> None:
    """Show partitions that had nothing to read since they were assigned; a silent broker tells no high water."""
    for part in consumer.assignment():
        if not lag.knows(part) and consumer.highwater(part) is not None:
            lag.tell(part, 0, None)


async def _commit(consumer: AIOKafkaConsumer, group: str, offsets: dict[TopicPartition, int]) -> None:
    """Commit; a failure only means that some events come again, which is harmless."""
    try:
        await consumer.commit(offsets)
    except (CommitFailedError, IllegalStateError, KafkaError) as error:
        log.info("commit_refused", extra={"group": group, "error_type": type(error).__name__})


def message_of(record: Any) -> Message:
    """Return a fetched record in our words."""
    return Message(
        record.topic, record.key, record.value, list(record.headers), partition=record.partition, offset=record.offset
    )
