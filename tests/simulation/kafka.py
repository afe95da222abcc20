"""Kafka's clients as the product uses them, on the simulated broker. Each belongs to the process that made it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, cast

from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    UnknownTopicOrPartitionError,
)

from shared.contracts.envelope import Message
from tests.simulation.broker import Place, SimBroker
from tests.simulation.scheduler import PROCESS

BROKER: ContextVar[SimBroker] = ContextVar("broker")
REQUEST_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 20.0


class Client:
    """What all clients have in common: their broker, their process, a handshake."""

    def __init__(self, *_: Any, **settings: Any) -> None:
        self.broker = BROKER.get()
        self.process = PROCESS.get()
        self.settings = settings
        self.stopped = False

    async def start(self) -> None:
        """Connect."""
        await self.broker.server.ask(lambda: None)

    async def stop(self) -> None:
        """Disconnect."""
        self.stopped = True

    async def close(self) -> None:
        """Disconnect."""
        self.stopped = True


class SimAdmin(Client):
    """`AIOKafkaAdminClient`."""

    async def describe_cluster(self) -> dict[str, Any]:
        """Return the cluster's id."""
        return await self.broker.server.ask(lambda: {"cluster_id": f"cluster-{self.broker.cluster}"})

    async def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return each topic's partitions, or an error code."""

        def describe() -> list[dict[str, Any]]:
            counts = {name: sum(1 for topic, _ in self.broker.logs if topic == name) for name in names}
            return [
                {"topic": name, "error_code": 0 if count else 3, "partitions": [None] * count}
                for name, count in counts.items()
            ]

        return await self.broker.server.ask(describe)

    async def create_topics(self, topics: Iterable[Any]) -> None:
        """Make topics; those that exist stay."""

        def create() -> None:
            for topic in topics:
                self.broker.create(topic.name, topic.num_partitions)

        await self.broker.server.ask(create)


class Batch:
    """`BatchBuilder`: takes a hundred records."""

    def __init__(self) -> None:
        self.records: list[Message] = []

    def append(self, *, key: bytes | None, value: bytes | None, timestamp: None, headers: Any) -> object | None:
        """Take a record unless the batch is full."""
        if len(self.records) >= 100:
            return None
        self.records.append(Message("", key, value, list(headers)))
        return self

    def close(self) -> None:
        """Take no more."""


class SimProducer(Client):
    """`AIOKafkaProducer`: one batch after the other per partition, tried again until its time is over."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.broker.producers += 1
        self._id = self.broker.producers
        self._sent = 0
        self._known: set[str] = set()
        self._locks: dict[Place, asyncio.Lock] = {}
        self._pending: dict[asyncio.Future[None], None] = {}

    async def stop(self) -> None:
        """Send what is under way, then disconnect."""
        if self._pending and not self.broker.wires.loop.disposing:
            await asyncio.wait(list(self._pending), timeout=REQUEST_SECONDS)
        self.stopped = True

    async def partitions_for(self, topic: str) -> set[int]:
        """Return a topic's partitions; what was once known is remembered. Draws nothing: topics come in any order."""
        if topic not in self._known:
            if self.broker.server.away:
                raise KafkaConnectionError("away")
            self.broker.end((topic, 0))
            self._known.add(topic)
        return set(range(self.broker.partitions))

    def create_batch(self) -> Batch:
        """Return an empty batch."""
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[None]":
        """Start sending; the future tells how it ended."""
        self._sent += 1
        future = asyncio.ensure_future(self._deliver((self._id, self._sent), (topic, partition), batch.records))
        self._pending[future] = None
        future.add_done_callback(lambda done: self._pending.pop(done, None))
        return future

    async def _deliver(self, batch: tuple[int, int], place: Place, records: Sequence[Message]) -> None:
        broker, loop = self.broker, asyncio.get_running_loop()
        until = loop.time() + REQUEST_SECONDS
        async with self._locks.setdefault(place, asyncio.Lock()):
            while True:
                try:
                    await broker.server.ask(lambda: broker.append(batch, place, records))
                except (KafkaConnectionError, UnknownTopicOrPartitionError):
                    if loop.time() > until:
                        raise KafkaTimeoutError from None
                else:
                    return
                await asyncio.sleep(0.2)


class SimConsumer(Client):
    """`AIOKafkaConsumer`, in a group or alone."""

    def __init__(self, *_: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self.group: str | None = settings.get("group_id")
        self.topics: Sequence[str] = ()
        self.generation = 0
        self.assignment_: set[Place] = set()
        self.positions: dict[Place, int] = {}
        self._listener: Any = None
        self._woken: asyncio.Event | None = None
        self._taking: asyncio.Task[None] | None = None

    def subscribe(self, topics: Sequence[str], listener: Any = None) -> None:
        """Note what the group shall read."""
        self.topics, self._listener = tuple(topics), listener

    async def start(self) -> None:
        """Connect, and join the group."""
        await super().start()
        self._woken = asyncio.Event()
        if self.group is not None:
            self.broker.join(self.group, self)

    async def stop(self) -> None:
        """Leave the group."""
        await super().stop()
        if self.group is not None and not self.broker.wires.loop.disposing:
            self.broker.leave(self.group, self)

    def offer(self, generation: int, places: set[Place]) -> None:
        """Begin taking over an assignment, in the process's own time."""
        broker, loop = self.broker, self.broker.wires.loop
        context = self.process.context()
        context.run(BROKER.set, broker)

        def take() -> None:
            if not self.stopped:
                self._taking = loop.create_task(self._take(generation, places), context=context)

        loop.call_later(broker.wires.delay(), take, context=context)

    def wake(self) -> None:
        """Look for records."""
        if self._woken is not None:
            self._woken.set()

    async def _take(self, generation: int, places: set[Place]) -> None:
        """Take an assignment: as in aiokafka, records may be fetched before the listener is done."""
        if generation < self.generation:
            return
        self.assignment_, self.positions, self.generation = set(places), {}, generation
        if self._listener is not None:
            await self._listener.on_partitions_revoked(set())
        early = self.broker.random.random() < 0.3
        if early:
            await self._position(generation)
        if self._listener is not None:
            await self._listener.on_partitions_assigned({TopicPartition(*place) for place in sorted(places)})
        if not early:
            await self._position(generation)

    async def _position(self, generation: int) -> None:
        group = self.group or ""
        while self.generation == generation and not self.stopped:
            try:
                offsets = await self.broker.server.ask(lambda: dict(self.broker.group(group).offsets))
            except KafkaError:
                await asyncio.sleep(0.5)
                continue
            if self.generation == generation:
                self.positions = {place: offsets.get(place, 0) for place in sorted(self.assignment_)}
                self.wake()
            return

    async def getmany(
        self, *parts: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Message]]:
        """Return some records of some partitions; nothing when none come in time."""
        del timeout_ms  # waiting longer is the same, only cheaper
        assert self._woken is not None
        if not self._ready(parts):
            self._woken.clear()
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                return {}
        generation = self.generation
        try:
            fetched = await self.broker.server.ask(lambda: self._read(parts, max_records or 500))
        except KafkaError:
            await asyncio.sleep(0.5)
            return {}
        if generation != self.generation:
            return {}
        for place, records in fetched.items():
            self.positions[place] = records[-1].offset + 1
        return {TopicPartition(*place): records for place, records in fetched.items()}

    def _ready(self, parts: Sequence[TopicPartition]) -> list[Place]:
        wanted = {tuple(part) for part in parts}
        found = []
        for place, position in self.positions.items():
            end = len(self.broker.logs.get(place, ()))
            if position > end:
                self.positions[place] = position = 0
            if end > position and (not wanted or place in wanted):
                found.append(place)
        return found

    def _read(self, parts: Sequence[TopicPartition], limit: int) -> dict[Place, list[Message]]:
        ready, draw = self._ready(parts), self.broker.random
        draw.shuffle(ready)
        fetched = {}
        for place in ready[: 1 + int(draw.random() * len(ready))]:
            log, start = self.broker.logs[place], self.positions[place]
            count = min(limit, 1 + int(draw.random() * (len(log) - start)))
            fetched[place] = log[start : start + count]
        return fetched

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit offsets of assigned partitions."""
        wanted = {cast("Place", tuple(part)): offset for part, offset in offsets.items()}
        if not wanted.keys() <= self.assignment_:
            raise IllegalStateError("not assigned")
        group = self.group or ""
        await self.broker.server.ask(lambda: self.broker.commit(group, self, wanted))

    def highwater(self, part: TopicPartition) -> int | None:
        """Return the end of a partition."""
        return len(self.broker.logs.get(cast("Place", tuple(part)), ()))

    def assign(self, parts: Sequence[TopicPartition]) -> None:
        """Read these partitions without a group."""
        self.assignment_ = {cast("Place", tuple(part)) for part in parts}

    async def seek_to_beginning(self, *parts: TopicPartition) -> None:
        """Read from the first record on."""
        del parts
        self.positions = dict.fromkeys(sorted(self.assignment_), 0)

    async def end_offsets(self, parts: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the ends. Raises for a topic that does not exist."""
        ends = lambda: {part: self.broker.end(cast("Place", tuple(part))) for part in parts}  # noqa: E731
        return await self.broker.server.ask(ends)

    async def highwaters(self, *parts: TopicPartition) -> dict[TopicPartition, int]:
        """Return the ends, as Faust's consumer does."""
        return {part: len(self.broker.logs.get(cast("Place", tuple(part)), ())) for part in parts}
