"""Publishing and consuming over genuine Kafka: the behaviour suite, refusals, outages, members that come and go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.stack import Stack
from shared.consumer import Dispatcher
from shared.contracts.envelope import Message
from shared.contracts.topics import dead_letter_topic
from shared.kafka import reader
from shared.kafka.client import KafkaPublisher, partition_of
from shared.kafka.letters import KafkaLetters
from shared.kafka.reader import consume, message_of
from tests.integration.conftest import Kafka
from tests.unit.bus_behaviour import BusBehaviour, Group, ids
from tests.unit.sample_journal import noted, record_of

PATIENCE = 60


class KafkaBus:
    """A fresh topic, a fresh group with its dead-letter topic, and a publisher."""

    def __init__(self, kafka: Kafka, topic: str, group: str, publisher: KafkaPublisher) -> None:
        self.kafka, self.topic, self.group, self.publisher = kafka, topic, group, publisher
        self.letters = KafkaLetters(kafka.settings())

    async def records(self, topic: str) -> list[Message]:
        """All records of a topic, partition by partition."""
        parts = [TopicPartition(topic, number) for number in range(6)]
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka.stack.bootstrap)
        await consumer.start()
        try:
            consumer.assign(parts)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(parts)
            found: list[Message] = []
            while len(found) < sum(ends.values()):
                fetched = await consumer.getmany(timeout_ms=500)
                found += [message_of(record) for records in fetched.values() for record in records]
        finally:
            await consumer.stop()
        return sorted(found, key=lambda record: (record.partition, record.offset))

    @asynccontextmanager
    async def member(self, dispatcher: Dispatcher) -> AsyncIterator[None]:
        """A running member of the group."""
        task = asyncio.create_task(consume(self.kafka.settings(), [self.topic], dispatcher))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def consume(self, dispatcher: Dispatcher, until: Callable[[], bool], *, crash: bool = False) -> None:
        """Let a member read the topic until the condition holds and what it read is committed (crash: is not)."""
        with pytest.MonkeyPatch.context() as patch:
            if crash:
                patch.setattr(reader, "_commit", _no_commit)
            async with self.member(dispatcher):
                await eventually(until)
                if not crash:
                    for number in range(6):
                        assert await self.letters.consumed(dispatcher.group, [self.topic], _key_for(number))


@pytest.fixture
async def bus(kafka: Kafka) -> AsyncIterator[KafkaBus]:
    """A fresh topic and group."""
    group = kafka.group()
    await kafka.topic(dead_letter_topic(group))
    await kafka.topic(dead_letter_topic(f"{group}-other"))
    publisher = KafkaPublisher(kafka.settings())
    await publisher.connect()
    yield KafkaBus(kafka, await kafka.topic(), group, publisher)
    await publisher.close()


class TestKafkaBus(BusBehaviour):
    """All truths of `BusBehaviour`, on genuine Kafka."""


async def test_unconnected_publishers_acknowledge_nothing(kafka: Kafka) -> None:
    """Before the broker was found nothing counts as published, and nobody waits."""
    publisher = KafkaPublisher(kafka.settings())
    assert await publisher.publish([record_of("d1", 1)]) == [False]
    await publisher.close()


async def test_a_missing_topic_holds_up_no_other(bus: KafkaBus) -> None:
    """Records for a topic that is not there are not acknowledged, all others are, soon."""
    missing = [record_of(f"d{n}", 1, noted(1), "agency.nobody.events") for n in range(40)]
    present = [record_of(f"d{n}", 1, noted(1), bus.topic) for n in range(10)]
    async with asyncio.timeout(30):
        assert await bus.publisher.publish([*missing, *present]) == [False] * 40 + [True] * 10


async def test_a_refused_record_does_not_break_the_publisher(bus: KafkaBus) -> None:
    """A record too large for the broker, and those behind it in its partition, are not acknowledged; others are, and
    afterwards everything is: an idempotent producer with a gap in its sequence would be refused for ever."""
    huge = Message(bus.topic, b"d1", b"x" * 1_500_000, [])
    behind = record_of("d1", 2, noted(2), bus.topic)
    elsewhere = next(f"e{n}" for n in range(50) if partition_of(f"e{n}".encode(), 6) != partition_of(b"d1", 6))
    other = record_of(elsewhere, 1, noted(1), bus.topic)
    assert await bus.publisher.publish([record_of("d1", 1, noted(1), bus.topic)]) == [True]
    assert await bus.publisher.publish([huge, behind, other]) == [False, False, True]
    async with asyncio.timeout(PATIENCE):
        while await bus.publisher.publish([behind, other]) != [True, True]:
            pass
    assert await bus.publisher.publish([behind, other]) == [True, True]


async def test_records_up_to_the_limit_arrive(bus: KafkaBus) -> None:
    """The largest event a journal takes can be published, several in one group too."""
    large = [Message(bus.topic, b"d1", b"x" * 920_000, [("n", b"%d" % n)]) for n in range(3)]
    assert await bus.publisher.publish(large) == [True] * 3
    assert [record.headers for record in await bus.records(bus.topic)] == [message.headers for message in large]


async def test_a_killed_broker_loses_nothing(bus: KafkaBus, stack: Stack) -> None:
    """What is published while the broker is dead waits, is acknowledged after its return, and lies there once, in
    order; the consumers go on by themselves."""
    group = Group(bus)
    async with bus.member(group.dispatcher):
        await bus.publisher.publish([record_of("d1", 1, noted(1), bus.topic)])
        await eventually(lambda: group.handled == ids("d1", 1))
        stack.kill("broker")
        publishing = asyncio.create_task(bus.publisher.publish([record_of("d1", 2, noted(2), bus.topic)]))
        await asyncio.to_thread(stack.restart, "broker")
        assert await asyncio.wait_for(publishing, PATIENCE) == [True]
        await eventually(lambda: group.of("d1") == ids("d1", 1, 2))
    assert [dict(r.headers)["ce_id"] for r in await bus.records(bus.topic)] == [b"d1:1", b"d1:2"]


async def test_members_that_come_and_go(bus: KafkaBus) -> None:
    """While members join and leave, every event is handled, and per dossier none before its predecessor."""
    members = [Group(bus) for _ in range(3)]
    journal: list[str] = []
    for member in members:
        member.handled = journal
    async with bus.member(members[0].dispatcher):
        for sequence in range(1, 31):
            records = [record_of(f"d{n}", sequence, noted(sequence), bus.topic) for n in range(8)]
            assert all(await bus.publisher.publish(records))
            if sequence == 10:
                second = bus.member(members[1].dispatcher)
                await second.__aenter__()
            if sequence == 20:
                await second.__aexit__(None, None, None)
        await eventually(lambda: len(set(journal)) == 240)
    for number in range(8):
        mine = [event for event in dict.fromkeys(journal) if event.startswith(f"d{number}:")]
        assert mine == ids(f"d{number}", *range(1, 31))


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition that other tasks bring about."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.02)


async def _no_commit(*_: object) -> None:
    """Die before the commit."""


def _key_for(partition: int) -> str:
    return next(f"k{n}" for n in range(100) if partition_of(f"k{n}".encode(), 6) == partition)
