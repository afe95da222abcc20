"""The Faust application: one agent over all event topics and one table keyed by dossier. Holds no KPI rule.

Faust 0.15 commits offsets without waiting for the changelog, continues after a refused changelog write, and lets the
last changelog record of a key win even when a worker that lost its partition wrote it late. The classes here close
these gaps: commits wait for the changelog, a refused write ends the process, records are merged, and sources are read
again from a little before the committed offset.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, cast

import faust
from faust.stores import memory
from faust.streams import current_event
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Producer, Transport
from faust.types import TP

from services.analytics.domain import dump, load, merge
from services.analytics.handlers import Running
from services.analytics.topics import CHANGELOG, GROUP, SOURCES, TABLE
from shared.contracts.envelope import Message
from shared.kafka.client import partition_of
from shared.kafka.connection import tls
from shared.kafka.fence import keep_to
from shared.settings import CommonSettings

log = logging.getLogger(__name__)
_faust_log: Final = logging.getLogger("faust")


class DossierTable(faust.Table[bytes, bytes]):
    """The records. What a recovery reads is merged into what is known, so that a late older write changes nothing."""

    logger = _faust_log

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unsettled: set[asyncio.Future[Any]] = set()
        self.refused: asyncio.Future[None] | None = None

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:
        """Remember the write until the broker has acknowledged it."""
        future = super().send_changelog(*args, **kwargs)
        self.unsettled.add(future)
        future.add_done_callback(self._settled)
        return future

    async def settled(self) -> None:
        """Return when every write so far is acknowledged. Raises what the broker refused one with."""
        if self.unsettled:
            await asyncio.gather(*self.unsettled)

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Merge recovered records into those in memory."""
        store = self._records()
        for event in batch:
            if event.value is not None:
                known = store.get(event.key)
                store[event.key] = event.value if known is None else dump(merge(load(known), load(event.value)))

    def keep_only(self, partitions: set[int], count: int) -> list[tuple[bytes, bytes]]:
        """Forget the records of other partitions than these; return what is left. Writes no changelog."""
        store = self._records()
        for key in [key for key in store if partition_of(key, count) not in partitions]:
            del store[key]
        return list(store.items())

    def dossiers(self) -> list[bytes]:
        """Return who has a record now."""
        return list(self._records())

    def adopt(self, records: Mapping[bytes, bytes]) -> None:
        """Put these records in the place of those in memory. Writes no changelog: `tell` does."""
        self._records().update(records)

    def tell(self, partition: int, keys: Iterable[bytes]) -> None:
        """Write to the changelog what is in memory now."""
        store = self._records()
        for key in keys:
            self.send_changelog(partition, key, store[key])

    def _records(self) -> MutableMapping[bytes, bytes]:
        return cast("memory.Store[bytes, bytes]", self.data).data

    def _settled(self, future: asyncio.Future[Any]) -> None:
        self.unsettled.discard(future)
        if not future.cancelled() and future.exception() is not None:
            self.give_up("a changelog write was refused")

    def give_up(self, reason: str) -> None:
        """End the process: what it knows is in the broker."""
        if self.refused and not self.refused.done():
            self.refused.set_exception(RuntimeError(reason))


class FencedConsumerThread(AIOKafkaConsumerThread):
    """Where Faust makes its consumer."""

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        consumer = super()._create_consumer(loop)
        keep_to(consumer._client, cast("CountingApp", self.app).cluster)  # noqa: SLF001 - see shared.kafka.fence
        return consumer


class FencedProducer(Producer):
    """Writes to the changelog of this cluster only."""

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        keep_to(producer.client, cast("CountingApp", self.app).cluster)
        return producer


class RewindingConsumer(Consumer):
    """Reads sources again from `overlap` events before the committed offset; commits what the changelog has."""

    logger = _faust_log
    app: "CountingApp"
    _standing = False

    def _new_consumer_thread(self) -> FencedConsumerThread:
        return FencedConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop publishing totals before the partitions go."""
        self.app.running.clear()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Fetch no source before it stands at its offset."""
        self._standing = False
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Go to the committed offsets, then back by the overlap."""
        self._standing = False
        await super().perform_seek()
        sources = {tp for tp in self.assignment() if tp.topic in SOURCES}
        committed = {tp: self._committed_offset[tp] or 0 for tp in sources}
        ends = await self.highwaters(*sources) if sources and self.app.tells_ends else {}
        emptied = {tp for tp in sources if is_shorter(ends.get(tp), committed[tp])}
        for tp in emptied:
            log.warning("source_was_refilled", extra={"topic": tp.topic, "partition": tp.partition})
            committed[tp] = 0
            self._committed_offset[tp] = None
        if sources:
            await self.seek_wait({tp: max(0, offset - self.app.overlap) for tp, offset in committed.items()})
        self.app.stand_at(committed)
        self._standing = self.app.running.rebuilt

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's own
        active = active_partitions or set()
        wanted = active if self._standing else {tp for tp in active if tp.topic not in SOURCES}
        if not wanted:
            await self.sleep(0.1)
            return {}
        return await super()._getmany(wanted, timeout)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        await self.app.table.settled()
        return await super()._commit(offsets)


class RewindingTransport(Transport):
    """Faust's Kafka transport with our consumer and producer."""

    Consumer = RewindingConsumer
    Producer = FencedProducer


class CountingApp(faust.App):
    """A Faust application that counts events into `running` through `handle`.

    `cluster`: the only one to read and write: the records in memory say nothing of the topics of another.
    `tells_ends`: the broker tells the ends of topics; the embedded one tells the start of the last batch instead.
    """

    logger = _faust_log
    cluster: str
    overlap: int
    tells_ends: bool
    running: Running
    table: DossierTable

    def stand_at(self, committed: Mapping[TP, int]) -> None:
        """Note where the sources stand after recovery: from here on the totals are good to publish."""
        offsets: dict[int, dict[str, int]] = {}
        for tp, offset in committed.items():
            offsets.setdefault(tp.partition, {})[tp.topic] = offset
        self.running.start_from(offsets, self.consumer_generation_id)

    def _new_transport(self) -> Any:
        return RewindingTransport(self.conf.broker_consumer, self)


def _broker(settings: CommonSettings) -> dict[str, Any]:
    session = settings.kafka_session_timeout_ms / 1000
    return {
        "broker": [f"kafka://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(",")],
        "broker_credentials": _credentials(settings),
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 3,
        "broker_request_timeout": max(20.0, session + 5),
        "broker_rebalance_timeout": max(20.0, session),
        "broker_commit_interval": 1.0,
    }


def _credentials(settings: CommonSettings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    context = tls(settings)
    if settings.kafka_username and settings.kafka_password:
        password = settings.kafka_password.get_secret_value()
        mechanism = "SCRAM-SHA-512"
        return faust.SASLCredentials(
            username=settings.kafka_username, password=password, ssl_context=context, mechanism=mechanism
        )
    return faust.SSLCredentials(context) if context else None


Handle = Callable[[Message], Awaitable[None]]


def make_app(settings: CommonSettings, running: Running, overlap: int, datadir: str, cluster: str) -> CountingApp:
    """Return the application with its table, without an agent yet. `datadir` may be empty at every start."""
    app = CountingApp(
        GROUP,
        **_broker(settings),
        store="memory://",
        datadir=datadir,
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.kafka_partitions,
        topic_replication_factor=settings.kafka_replication,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        table_standby_replicas=0,
        Table=DossierTable,
    )
    app.cluster, app.overlap = cluster, overlap
    app.tells_ends = settings.kafka_idempotence  # false for the embedded broker alone
    app.running = running
    table = app.Table(TABLE, key_type=bytes, value_type=bytes, partitions=settings.kafka_partitions)
    app.table = cast("DossierTable", table)

    async def recount() -> None:
        assigned = app.consumer.assignment()
        owned = {tp.partition for tp in assigned if tp.topic in SOURCES}
        if not owned <= {tp.partition for tp in assigned if tp.topic == CHANGELOG.name}:
            # Faust leaves out a topic that the node it asked does not know yet. Records recovered from nothing would be
            # wrong, and each write an error that looks like the event's.
            app.table.give_up("the changelog is not assigned")
            return
        running.rebuild(app.table.keep_only(owned, settings.kafka_partitions))

    app.table.on_recover(recount)
    return app


def consume(app: CountingApp, handle: Handle) -> None:
    """Let the application give every record of the event topics to `handle`, one after the other."""
    events = app.topic(
        *SOURCES, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", allow_empty=True
    )

    async def count(stream: Any) -> None:
        async for event in stream.events():
            found = event.message
            await handle(
                Message(found.topic, found.key, found.value, list(found.headers or ()), found.partition, found.offset)
            )

    app.agent(events, name="count")(count)


def is_shorter(end: int | None, known: int) -> bool:
    """Whether a partition has lost events since `known` was its next offset. `end`: its next offset now, if told."""
    return end is not None and end < known


def current_partition() -> int:
    """The partition of the event in hand. Raises RuntimeError outside of the agent."""
    event = current_event()
    if event is None:
        raise RuntimeError("no event in hand")
    partition: int = event.message.partition
    return partition
