"""Kafka's clients as the product uses them, on the simulated broker: administration, publishing. See also `consumer`.

Each belongs to the process that made it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    UnknownTopicOrPartitionError,
)

from shared.contracts.envelope import Message
from shared.errors import BrokerUnavailable
from shared.kafka.topics import Span
from tests.simulation.broker import Place, SimBroker
from tests.simulation.scheduler import PROCESS

T = TypeVar("T")

BROKER: ContextVar[SimBroker] = ContextVar("broker")
REQUEST_SECONDS: Final = 10.0


def keep_to(client: "Client", cluster: str) -> None:
    """Stand for the function of this name in `shared.kafka.fence`."""
    client.cluster = cluster


class Client:
    """What all clients have in common: their broker, their process, a handshake, the cluster they are kept to."""

    cluster: str | None = None

    def __init__(self, *_: Any, **settings: Any) -> None:
        self.broker = BROKER.get()
        self.process = PROCESS.get()
        self.settings = settings
        self.stopped = False

    @property
    def client(self) -> "Client":
        """The connections inside of a producer."""
        return self

    @property
    def _client(self) -> "Client":
        """The connections inside of a consumer."""
        return self

    @property
    def fenced(self) -> bool:
        """Whether the cluster there now is not the one that this client is kept to."""
        return self.cluster not in (None, f"cluster-{self.broker.cluster}")

    async def ask(self, carry_out: Callable[[], T]) -> T:
        """Have a request carried out, over a connection to the right cluster."""
        if self.fenced:
            await asyncio.sleep(0.05)
            raise KafkaConnectionError("another cluster")
        return await self.broker.ask(carry_out)

    async def start(self) -> None:
        """Connect."""
        await self.ask(lambda: None)

    async def stop(self) -> None:
        """Disconnect."""
        self.stopped = True

    async def close(self) -> None:
        """Disconnect."""
        self.stopped = True


class SimAdmin(Client):
    """`AIOKafkaAdminClient`: its connection breaks for good when the broker is replaced."""

    _cluster = 0

    async def start(self) -> None:
        """Connect."""
        self._cluster = await self.broker.ask(lambda: self.broker.cluster)

    def _connected(self) -> None:
        if self.broker.cluster != self._cluster:
            raise KafkaConnectionError("closed")

    async def describe_cluster(self) -> dict[str, Any]:
        """Return the cluster's id."""
        self._connected()
        return await self.broker.ask(lambda: {"cluster_id": f"cluster-{self.broker.cluster}"})

    async def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return each topic's partitions, or an error code."""
        self._connected()

        def describe() -> list[dict[str, Any]]:
            counts = {name: sum(1 for topic, _ in self.broker.logs if topic == name) for name in names}
            return [
                {"topic": name, "error_code": 0 if count else 3, "partitions": [None] * count}
                for name, count in counts.items()
            ]

        return await self.broker.ask(describe)

    async def create_topics(self, topics: Iterable[Any]) -> None:
        """Make topics; those that exist stay."""
        self._connected()
        self.broker.wires.log.note(f"{self.process.name} makes topics on cluster {self._cluster}")

        def create() -> None:
            for topic in topics:
                self.broker.create(topic.name, topic.num_partitions)

        await self.broker.ask(create)


class SimTopics(Client):
    """`KafkaTopics`: whole topics."""

    def __init__(self, _settings: object, cluster: str | None = None) -> None:
        super().__init__()
        self.cluster = cluster

    async def spans(self, topics: Sequence[str], _since: object) -> dict[Place, Span]:
        """Return all there is."""
        places = [(topic, number) for topic in topics for number in range(self.broker.partitions)]
        ends = await self._asked(lambda: {place: self.broker.end(place) for place in places})
        return {place: Span(0, end, whole=True) for place, end in ends.items()}

    async def read(self, spans: Mapping[Place, Span]) -> AsyncIterator[Message]:
        """Yield records in order, some at a time."""
        for (topic, number), span in spans.items():
            start = span.start
            while start < span.end:
                end = min(span.end, start + 20)
                found = await self._asked(lambda: self.broker.logs[topic, number][start:end])  # noqa: B023 - at once
                for record in found:
                    yield record
                start += len(found)

    async def _asked(self, carry_out: Callable[[], T]) -> T:
        try:
            return await self.ask(carry_out)
        except KafkaError as error:
            raise BrokerUnavailable(type(error).__name__) from error


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
        self._flushing: asyncio.Task[None] | None = None
        self._known: set[str] = set()
        self._locks: dict[Place, asyncio.Lock] = {}
        self._pending: dict[asyncio.Future[None], None] = {}

    @property
    def _sender(self) -> "SimProducer":
        return self

    @property
    def sender_task(self) -> "asyncio.Task[None] | None":
        """What `stop` waits for."""
        return self._flushing

    async def stop(self) -> None:
        """Send what is under way, then disconnect."""
        if self._pending and not self.broker.wires.over:
            self._flushing = asyncio.create_task(self._flush())
            await asyncio.wait({self._flushing})
        self.stopped = True

    async def _flush(self) -> None:
        await asyncio.wait(list(self._pending), timeout=REQUEST_SECONDS)

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
                    await self.ask(lambda: broker.append(batch, place, records))
                except (KafkaConnectionError, UnknownTopicOrPartitionError):
                    if loop.time() > until:
                        raise KafkaTimeoutError from None
                else:
                    return
                await asyncio.sleep(0.2)
