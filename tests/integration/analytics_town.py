"""A town of nothing but events: publishes them, operates the analytics workers, and tells what the KPIs must be."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

from aiokafka import AIOKafkaConsumer

from deploy.local.health import is_ready
from deploy.local.processes import Launch, ManagedProcess, wait_until
from deploy.local.stack import CHECKOUT, Stack
from services.analytics.aggregate import Aggregate
from services.analytics.parity import totals_of
from services.analytics.settings import Settings
from services.analytics.view import Targets, view
from shared.contracts.envelope import Message, Received
from shared.contracts.topics import EVENT_TOPICS
from shared.environment import SystemEnvironment
from shared.kafka.client import KafkaPublisher, admin, ensure_topics
from shared.runtime import patiently
from tests.unit.analytics_samples import message, stories

BASE_PORT = 27_600
SECOND_PORT = BASE_PORT + 45
WORKER = "analytics-worker"
SECONDS = 180


class Town:
    """What has been published so far, and what the KPIs must therefore be."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.events: list[Received] = []
        self._seed = 0

    def more(self, dossiers: int) -> list[Received]:
        """Return new dossiers' events, subjects mixed at random, each subject in its order."""
        self._seed += 1
        found = mixed(stories(dossiers, self._seed), self._seed)
        self.events += found
        return found

    def publish(self, events: Sequence[Received]) -> None:
        """Publish events in this order and return when all are acknowledged."""
        self.send([message(event) for event in events])

    def send(self, messages: Sequence[Message]) -> None:
        """Publish records, good or not, that are no part of what the KPIs must be."""
        asyncio.run(_publish(self.stack, messages))

    def expect_exact(self) -> None:
        """Wait until the API tells the fold of everything published; at the end of the wait show the difference."""
        expected = told([Aggregate(0, "test", 0, {}, "", totals_of(self.events))])
        try:
            wait_until(lambda: self.told() == expected, SECONDS, "the KPIs did not become exact")
        except Exception:
            assert self.told() == expected  # a readable difference
            raise

    def told(self) -> dict[str, Any]:
        """Return the figures of the API, without those about freshness."""
        return figures(self.document())

    def document(self) -> dict[str, Any]:
        """Return the whole answer of the API."""
        with urlopen(self.stack.url("analytics-api") + "/v1/kpis", timeout=5) as answer:  # noqa: S310 - loopback
            document: dict[str, Any] = json.load(answer)
        return document

    def workers(self) -> set[str]:
        """Return which workers told the newest figures."""
        return {partition["worker"] for partition in self.document()["partitions"]}

    def operate(self, *arguments: str) -> str:
        """Run the operators' command; return what it said."""
        command = [sys.executable, "-m", "services.cli", *arguments]
        environment = self.stack.env_for(WORKER)
        done = subprocess.run(
            command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def delete_topics(self) -> None:
        """Delete every topic of events."""
        asyncio.run(_delete_topics(self.stack))

    def count(self, topic: str, wanted: int) -> int:
        """Read a topic from its beginning until there are so many records; return how many there were then."""
        return asyncio.run(_count(self.stack, topic, wanted))


def mixed(journals: Iterator[list[Received]], seed: int) -> list[Received]:
    """Return all events in a random order that keeps each subject's own order."""
    chance = random.Random(seed)
    events = [event for journal in journals for event in journal]
    subjects = [event.envelope.subject for event in events]
    chance.shuffle(subjects)
    waiting: dict[str, list[Received]] = {}
    for event in events:
        waiting.setdefault(event.envelope.subject, []).append(event)
    return [waiting[subject].pop(0) for subject in subjects]


def figures(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what tells how fresh the figures are."""
    return {name: value for name, value in document.items() if name not in ("asOf", "complete", "partitions")}


def told(aggregates: Sequence[Aggregate]) -> dict[str, Any]:
    """Return the figures the API must tell for these aggregates."""
    document = view(aggregates, 1, Targets(p50_seconds=300, p90_seconds=432_000)).model_dump(by_alias=True)
    return figures(json.loads(json.dumps(document)))


@contextmanager
def second_worker(stack: Stack) -> Iterator[ManagedProcess]:
    """Run another worker of the same installation."""
    environment = {**stack.env_for(WORKER), "HTTP_PORT": str(SECOND_PORT)}
    command = (sys.executable, "-m", "services.analytics", "worker")
    launch = Launch("second-worker", command, environment, CHECKOUT, lambda: is_ready(SECOND_PORT), 120)
    with ManagedProcess(launch, stack.root).started() as process:
        yield process


def _settings(stack: Stack) -> Settings:
    wanted = {name: value for name, value in stack.env_for(WORKER).items() if value}
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        return Settings()
    finally:
        os.environ.clear()
        os.environ.update(before)


async def _publish(stack: Stack, messages: Sequence[Message]) -> None:
    settings = _settings(stack)
    environment = SystemEnvironment()
    publisher = KafkaPublisher(settings)
    try:
        async with asyncio.timeout(SECONDS):
            await patiently(lambda: ensure_topics(settings, EVENT_TOPICS), environment)
            await publisher.connect()
            while messages:
                acknowledged = await publisher.publish(messages)
                messages = [one for one, good in zip(messages, acknowledged, strict=True) if not good]
    finally:
        await publisher.close()


async def _delete_topics(stack: Stack) -> None:
    settings = _settings(stack)
    async with admin(settings) as client:
        await client.delete_topics([topic.name for topic in EVENT_TOPICS])


async def _count(stack: Stack, topic: str, wanted: int) -> int:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found = 0
    try:
        async with asyncio.timeout(SECONDS):
            while found < wanted:
                fetched = await consumer.getmany(timeout_ms=500)
                found += sum(len(records) for records in fetched.values())
    finally:
        await consumer.stop()
    return found
