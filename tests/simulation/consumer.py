"""Kafka's consumer as the product uses it, on the simulated broker: groups, assignments, fetching, committing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError, KafkaError, UnknownTopicOrPartitionError

from shared.contracts.envelope import Message
from tests.simulation.broker import Place
from tests.simulation.kafka import BROKER, Client

IDLE_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Record(Message):
    """What a fetch gives: a message with its time, which the lag is told by and nothing is decided by."""

    timestamp: int = 0


def _record(message: Message) -> Record:
    return Record(message.topic, message.key, message.value, message.headers, message.partition, message.offset)


class SimConsumer(Client):
    """`AIOKafkaConsumer`, in a group or alone."""

    def __init__(self, *_: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self.group: str | None = settings.get("group_id")
        self.topics: Sequence[str] = ()
        self.generation = 0
        self.assignment_: set[Place] = set()
        self.positions: dict[Place, int] = {}
        self.idle = False
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
        if self.group is not None and not self.broker.wires.over:
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
                offsets = await self.ask(lambda: dict(self.broker.group(group).offsets))
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
        if not self._ready(parts) and not await self._wait():
            return {}
        generation = self.generation
        try:
            fetched = await self.ask(lambda: self._read(parts, max_records or 500))
        except KafkaError:
            await asyncio.sleep(0.5)
            return {}
        if generation != self.generation:
            return {}
        for place, records in fetched.items():
            self.positions[place] = records[-1].offset + 1
        return {TopicPartition(*place): [_record(one) for one in records] for place, records in fetched.items()}

    async def _wait(self) -> bool:
        assert self._woken is not None
        self._woken.clear()
        self.idle = True
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                return await self._woken.wait()
        except TimeoutError:
            return False
        finally:
            self.idle = False

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
        """Commit offsets of assigned partitions; as in aiokafka, an absent broker is asked again."""
        wanted = {cast("Place", tuple(part)): offset for part, offset in offsets.items()}
        if not wanted.keys() <= self.assignment_:
            raise IllegalStateError("not assigned")
        group = self.group or ""
        while True:
            try:
                return await self.ask(lambda: self.broker.commit(group, self, wanted))
            except (KafkaConnectionError, UnknownTopicOrPartitionError):
                await asyncio.sleep(0.1)

    def highwater(self, part: TopicPartition) -> int | None:
        """Return the end of a partition."""
        return len(self.broker.logs.get(cast("Place", tuple(part)), ()))

    def assignment(self) -> set[TopicPartition]:
        """Return the partitions it reads."""
        return {TopicPartition(*place) for place in self.assignment_}

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
        return await self.ask(ends)

    async def highwaters(self, *parts: TopicPartition) -> dict[TopicPartition, int]:
        """Return the ends, as Faust's consumer does."""
        return {part: len(self.broker.logs.get(cast("Place", tuple(part)), ())) for part in parts}
