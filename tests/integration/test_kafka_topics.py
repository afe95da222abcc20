"""Reading whole topics without a group, on genuine Kafka: all there is, from a time on, how far a group has come."""

import asyncio
from datetime import timedelta

import pytest

from shared.environment import SystemEnvironment
from shared.kafka.client import KafkaPublisher
from shared.kafka.topics import KafkaTopics
from shared.runtime import patiently
from shared.settings import CommonSettings
from tests.integration.conftest import Kafka, fresh
from tests.unit.sample_journal import noted, record_of

COUNT = 40


@pytest.fixture
async def written(kafka: Kafka) -> tuple[CommonSettings, str]:
    """Settings, and a topic with some dossiers' events on several partitions."""
    settings, topic = kafka.settings(), await kafka.topic()
    publisher = KafkaPublisher(settings)
    await publisher.connect()
    records = [record_of(f"d{number % 8}", 1 + number // 8, noted(1), topic) for number in range(COUNT)]
    assert all(await publisher.publish(records))
    await publisher.close()
    return settings, topic


async def test_everything_is_read_once(written: tuple[CommonSettings, str]) -> None:
    """All records, each partition in its order, however often a topic is read."""
    settings, topic = written
    topics = KafkaTopics(settings)
    spans = await topics.spans([topic], None)
    assert sum(span.end - span.start for span in spans.values()) == COUNT
    async with asyncio.timeout(60):
        read = [record async for record in topics.read(spans)]
    places = [(record.partition, record.offset) for record in read]
    assert len(set(places)) == len(places) == COUNT
    assert all([o for p, o in places if p == n] == sorted(o for p, o in places if p == n) for n in range(6))


async def test_from_a_time_on(written: tuple[CommonSettings, str]) -> None:
    """From an hour ago on it is everything, from an hour ahead on nothing; empty partitions hold nobody up."""
    settings, topic = written
    topics, now = KafkaTopics(settings), SystemEnvironment().now()
    for since, count in ((now - timedelta(hours=1), COUNT), (now + timedelta(hours=1), 0)):
        spans = await topics.spans([topic], since)
        async with asyncio.timeout(60):
            assert len([record async for record in topics.read(spans)]) == count


async def test_how_far_a_group_has_come(written: tuple[CommonSettings, str]) -> None:
    """A group that never committed stands at the beginning of every partition."""
    settings, topic = written
    async with asyncio.timeout(60):
        group, topics = fresh("group"), KafkaTopics(settings)
        # A broker that has had no group yet makes its topic of offsets first.
        committed = await patiently(lambda: topics.committed(group, [topic]), SystemEnvironment())
    assert committed == {(topic, number): 0 for number in range(6)}
