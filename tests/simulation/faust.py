"""Stands for Faust under the analytics worker: a table with changelog, recovery, overlap, commits after the changelog.

The records, the merging, the totals and what happens around each event are the product's; only Faust itself is not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from services.analytics.handlers import Running
from services.analytics.stream import DossierTable
from services.analytics.topics import CHANGELOG, GROUP, SOURCES
from shared.contracts.envelope import Message
from shared.kafka.client import partition_of
from shared.settings import CommonSettings
from tests.simulation.consumer import SimConsumer
from tests.simulation.kafka import SimProducer, keep_to

COMMIT_SECONDS: Final = 1.0
_PARTITION: ContextVar[int] = ContextVar("partition")


def current_partition() -> int:
    """Return the partition of the event in hand."""
    return _PARTITION.get()


class SimTable(dict[bytes, bytes]):
    """The records of a worker. Each write goes to the changelog; recovery merges as the product does."""

    settled = DossierTable.settled
    _settled = DossierTable._settled
    give_up = DossierTable.give_up
    apply_changelog_batch = DossierTable.apply_changelog_batch
    keep_only = DossierTable.keep_only
    dossiers = DossierTable.dossiers
    adopt = DossierTable.adopt
    tell = DossierTable.tell

    def __init__(self, producer: SimProducer, partitions: int) -> None:
        super().__init__()
        self.unsettled: set[asyncio.Future[Any]] = set()
        self.refused: asyncio.Future[None] | None = None
        self.recovered: list[Callable[[], Awaitable[None]]] = []
        self._producer = producer
        self._partitions = partitions

    def __setitem__(self, key: bytes, value: bytes) -> None:
        super().__setitem__(key, value)
        self.send_changelog(partition_of(key, self._partitions), key, value)

    def send_changelog(self, partition: int, key: bytes, value: bytes) -> None:
        """Write to the changelog."""
        future = asyncio.ensure_future(self._send(partition, key, value))
        self.unsettled.add(future)
        future.add_done_callback(self._settled)  # type: ignore[misc]

    def on_recover(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call this after each recovery."""
        self.recovered.append(call)

    def _records(self) -> "_Plain":
        return _Plain(self)

    async def _send(self, partition: int, key: bytes, value: bytes) -> None:
        batch = self._producer.create_batch()
        batch.append(key=key, value=value, timestamp=None, headers=[])
        await (await self._producer.send_batch(batch, CHANGELOG.name, partition=partition))


class _Plain:
    """The table without its changelog."""

    def __init__(self, table: SimTable) -> None:
        self._table = table

    def get(self, key: bytes) -> bytes | None:
        return self._table.get(key)

    def __setitem__(self, key: bytes, value: bytes) -> None:
        dict.__setitem__(self._table, key, value)

    def __delitem__(self, key: bytes) -> None:
        dict.__delitem__(self._table, key)

    def __getitem__(self, key: bytes) -> bytes:
        return self._table[key]

    def __iter__(self) -> Any:
        return iter(list(self._table))

    def update(self, records: Mapping[bytes, bytes]) -> None:
        dict.update(self._table, records)

    def items(self) -> Any:
        return self._table.items()


class SourceConsumer(SimConsumer):
    """A consumer whose assignment is taken up by the application, between two events."""

    changed = True

    async def _take(self, generation: int, places: set[tuple[str, int]]) -> None:
        if generation >= self.generation:
            self.app.running.clear()
            self.assignment_, self.positions, self.generation = set(places), {}, generation
            self.changed = True
            self.wake()

    app: "SimApp"


class SimApp:
    """`CountingApp`, as far as the worker uses it."""

    def __init__(self, settings: CommonSettings, running: Running, overlap: int) -> None:
        self.running, self.overlap = running, overlap
        self.tells_ends = True
        self.rebalancing = True
        self.crash_reason: BaseException | None = None
        self.tables = SimpleNamespace(actives_ready=True)
        self.handle: Callable[[Message], Awaitable[None]] | None = None
        self._partitions = settings.kafka_partitions
        self.producer = SimProducer()
        self.table = SimTable(self.producer, self._partitions)
        self.consumer = SourceConsumer(group_id=GROUP)
        self.consumer.app = self
        self.consumer.subscribe(SOURCES)
        self._done: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.table.on_recover(self._recount)

    async def start(self) -> None:
        """Join the group and begin."""
        while True:
            try:
                await self.consumer.start()
                break
            except KafkaError:
                await asyncio.sleep(1)
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
        await self.consumer.stop()

    async def wait_until_stopped(self) -> None:
        """Return when it failed."""
        assert self._task is not None
        try:
            await self._task
        except Exception as error:  # noqa: BLE001 - as Faust keeps its reason
            self.crash_reason = error

    async def _run(self) -> None:
        committed_at = 0.0
        while True:
            if self.consumer.changed:
                await self._recover()
                continue
            for part, records in (await self.consumer.getmany(max_records=50)).items():
                await self._count(part, records)
            if asyncio.get_running_loop().time() >= committed_at + COMMIT_SECONDS:
                await self._commit()
                committed_at = asyncio.get_running_loop().time()

    async def _count(self, part: TopicPartition, records: list[Message]) -> None:
        assert self.handle is not None
        _PARTITION.set(part.partition)
        for record in records:
            if self.consumer.changed:
                return
            await self.handle(record)
            self._done[part] = record.offset + 1

    async def _commit(self) -> None:
        """Commit what is counted once the changelog has it. A refusal means that another worker counts on."""
        done, self._done = self._done, {}
        if not done or self.consumer.changed:
            return
        await self.table.settled()  # type: ignore[misc]
        try:
            await self.consumer.commit(done)
        except KafkaError:
            self._done = {**done, **self._done}

    async def _recover(self) -> None:
        """Read the changelog, count anew, stand a little before the committed offsets."""
        consumer, broker = self.consumer, self.consumer.broker
        consumer.changed, self.rebalancing, self._done = False, True, {}
        generation = consumer.generation
        try:
            await self._read_changelog()
            for call in self.table.recovered:
                await call()
            offsets = await broker.ask(lambda: dict(broker.group(GROUP).offsets))
        except KafkaError:
            await asyncio.sleep(0.5)
            consumer.changed = True
            return
        if consumer.generation != generation:
            return
        known = {TP(*place): offsets.get(place, 0) for place in sorted(consumer.assignment_)}
        ends = {tp: len(broker.logs.get((tp.topic, tp.partition), ())) for tp in known}
        committed = {tp: offset if offset <= ends[tp] else 0 for tp, offset in known.items()}
        consumer.positions = {
            (tp.topic, tp.partition): max(0, offset - self.overlap) for tp, offset in committed.items()
        }
        self._stand_at(committed, generation)
        self.rebalancing = False

    async def _read_changelog(self) -> None:
        broker = self.consumer.broker
        for number in sorted({number for _, number in self.consumer.assignment_}):
            place = (CHANGELOG.name, number)
            records = await broker.ask(lambda place=place: list(broker.logs.get(place, ())))  # type: ignore[misc]
            self.table.apply_changelog_batch(records)  # type: ignore[misc]

    async def _recount(self) -> None:
        owned = {number for _, number in self.consumer.assignment_}
        self.running.rebuild(self.table.keep_only(owned, self._partitions))  # type: ignore[misc]

    def _stand_at(self, committed: Mapping[TP, int], generation: int) -> None:
        offsets: dict[int, dict[str, int]] = {}
        for tp, offset in committed.items():
            offsets.setdefault(tp.partition, {})[tp.topic] = offset
        self.running.start_from(offsets, generation)


def make_app(settings: CommonSettings, running: Running, overlap: int, _datadir: str, cluster: str) -> SimApp:
    """Stand for `services.analytics.stream.make_app`."""
    app = SimApp(settings, running, overlap)
    for client in (app.consumer, app.producer):
        keep_to(client, cluster)
    return app


def consume(app: SimApp, handle: Callable[[Message], Awaitable[None]]) -> None:
    """Stand for `services.analytics.stream.consume`."""
    app.handle = handle
