"""Analytics over real Kafka and MongoDB: whatever happens to workers and broker, the KPIs equal the pure fold."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import pytest
from aiokafka import AIOKafkaConsumer

from deploy.local.health import is_ready
from deploy.local.processes import Launch, ManagedProcess, wait_until
from deploy.local.stack import CHECKOUT, Stack
from services.analytics.aggregate import Aggregate
from services.analytics.domain import dump
from services.analytics.parity import totals_of
from services.analytics.settings import Settings
from services.analytics.topics import CHANGELOG
from services.analytics.view import Targets, view
from shared.contracts.envelope import Message, Received
from shared.contracts.topics import EVENT_TOPICS
from shared.environment import SystemEnvironment
from shared.kafka.client import KafkaPublisher, admin, ensure_topics
from shared.runtime import patiently
from shared.web.serve import EXIT_BROKER_REPLACED
from tests.unit.analytics_samples import message, stories

BASE_PORT = 27_600
SECOND_PORT = BASE_PORT + 45
WORKER = "analytics-worker"
SECONDS = 180


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A database, a genuine broker and both roles of analytics; a dead worker is noticed after 6 s.

    The overlap is small, so that a wrongly committed offset would show.
    """
    quick = {"KAFKA_SESSION_TIMEOUT_MS": "6000", "KPI_OVERLAP": "20", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    running = Stack(tmp_path_factory.mktemp("analytics"), BASE_PORT, broker="kafka", environment=quick)
    try:
        running.start_infrastructure()
        running.start_role("analytics-api")
        running.start_role(WORKER)
        yield running
    finally:
        running.stop()


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
        asyncio.run(_publish(self.stack, [message(event) for event in events]))

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


@pytest.fixture(scope="module")
def town(stack: Stack) -> Town:
    """The town of this module: it only grows."""
    return Town(stack)


def test_events_and_their_repeats_count_once(town: Town) -> None:
    """The KPIs equal the fold of what was published; publishing everything again changes nothing."""
    events = town.more(100)
    town.publish(events)
    town.expect_exact()
    repeated = town.more(5)
    town.publish([*events, *repeated, *events])
    town.expect_exact()


def test_a_worker_killed_in_mid_stream_loses_and_doubles_nothing(town: Town) -> None:
    """After kill -9 while events arrive, twice, the restarted worker tells exact KPIs."""
    for _ in range(2):
        events = town.more(160)
        half = len(events) // 2
        town.publish(events[:half])
        town.stack.kill(WORKER)
        town.publish(events[half:])
        town.stack.restart(WORKER)
        town.expect_exact()


def test_a_second_worker_takes_over_partitions_and_gives_them_back(town: Town) -> None:
    """Joining, counting side by side and dying of a second worker leave the KPIs exact."""
    events = town.more(240)
    third = len(events) // 3
    town.publish(events[:third])
    with second_worker(town.stack) as second:
        town.publish(events[third : 2 * third])
        wait_until(lambda: len(workers_of(town)) == 2, SECONDS, "the second worker got no partition")
        second.kill(signal.SIGKILL)
        town.publish(events[2 * third :])
    town.expect_exact()


def test_a_worker_that_was_asleep_does_not_overwrite_its_successor(town: Town) -> None:
    """A worker stopped until its partitions went to another, then woken, changes no KPI."""
    events = town.more(120)
    half = len(events) // 2
    with second_worker(town.stack):
        wait_until(lambda: len(workers_of(town)) == 2, SECONDS, "the second worker got no partition")
        town.publish(events[:half])
        town.stack.kill(WORKER, signal.SIGSTOP)
        town.publish(events[half:])
        town.expect_exact()
        town.stack.kill(WORKER, signal.SIGCONT)
        town.publish(town.more(20))
        town.expect_exact()
    town.publish(town.more(20))
    town.stack.restart(WORKER)
    town.expect_exact()


def test_a_recount_mends_wrong_records_while_workers_come_and_go(town: Town) -> None:
    """Records planted in the changelog count after a restart; a recount asked for then ends although events arrive and
    a second worker joins and is killed; the KPIs are exact, also when later tests start the worker anew."""
    first = town.more(20)
    town.publish(first)
    town.expect_exact()
    wrong = [first[0].envelope.dossier, "nobody"]
    record = {"": {"k": "d", "n": 900_000, "service": "nowhere", "status": "received", "submitted": 1}}
    asyncio.run(_publish(town.stack, [Message(CHANGELOG.name, one.encode(), dump(record), []) for one in wrong]))
    town.stack.restart(WORKER)
    wait_until(lambda: "nowhere" in town.told()["dossiers"]["byService"], SECONDS, "the planted records did not count")
    events = town.more(120)
    asked = _operate(town.stack, "kpis", "recount", "--no-wait")
    with second_worker(town.stack) as second:
        town.publish(events[: len(events) // 2])
        wait_until(lambda: len(workers_of(town)) == 2, SECONDS, "the second worker got no partition")
        second.kill(signal.SIGKILL)
        town.publish(events[len(events) // 2 :])
    assert "recount 1 is asked for" in asked
    assert "6 of 6 partitions recounted" in _operate(town.stack, "kpis", "recount")
    town.expect_exact()
    assert _operate(town.stack, "parity", "--service", "analytics") == "analytics: no drift\n"


def test_what_cannot_be_read_is_set_aside_and_the_rest_is_counted(town: Town) -> None:
    """A broken value, a missing value and a stranger's record end in `analytics.dlq`; counting goes on."""
    good = town.more(10)
    first = message(good[0])
    broken = [
        Message(first.topic, first.key, b"\xff\xfe", first.headers),
        Message(first.topic, first.key, None, first.headers),
        Message(first.topic, b"stranger", b"{}", []),
    ]
    asyncio.run(_publish(town.stack, broken))
    town.publish(good)
    town.expect_exact()
    assert asyncio.run(_read(town.stack, "analytics.dlq", len(broken))) == len(broken)


def test_a_worker_asked_to_stop_ends_cleanly(town: Town) -> None:
    """SIGTERM ends the worker with code 0 within its grace."""
    town.stack.stop_role(WORKER)
    assert town.stack.process(WORKER).exit_code == 0
    town.stack.restart(WORKER)
    town.expect_exact()


def test_the_figures_are_gauges_for_prometheus(town: Town) -> None:
    """/metrics tells the same figures, as gauges only."""
    with urlopen(town.stack.url("analytics-api") + "/metrics", timeout=5) as answer:  # noqa: S310 - loopback
        text = answer.read().decode()
    assert f"dossierbus_kpi_submitted_dossiers {float(totals_of(town.events)['submitted'])}" in text
    kinds = {line.split()[3] for line in text.splitlines() if line.startswith("# TYPE dossierbus_kpi_")}
    assert kinds == {"gauge"}


def test_a_broker_that_came_back_empty_is_counted_anew(town: Town) -> None:
    """Both roles end with code 75; started anew they count what the journals publish again, and nothing of before."""
    roles = (WORKER, "analytics-api")
    town.stack.wipe_broker()
    ended = [town.stack.process(role) for role in roles]
    wait_until(lambda: all(role.exit_code is not None for role in ended), SECONDS, "the roles stayed")
    assert [role.exit_code for role in ended] == [EXIT_BROKER_REPLACED] * 2
    for role in roles:
        town.stack.restart(role)
    town.publish(town.events)
    town.expect_exact()


def test_topics_that_came_back_empty_are_counted_anew(town: Town) -> None:
    """The same cluster with new, empty event topics: the worker starts anew and soon tells exact KPIs again."""
    worker = town.stack.process(WORKER)
    asyncio.run(_delete_topics(town.stack))
    town.publish(town.events[: len(town.events) // 2])
    wait_until(lambda: worker.exit_code == EXIT_BROKER_REPLACED, SECONDS, "the worker stayed")
    town.stack.restart(WORKER)
    town.publish([*town.events[len(town.events) // 2 :], *town.more(20)])
    town.expect_exact()


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


def workers_of(town: Town) -> set[str]:
    """Return which workers told the newest figures."""
    return {partition["worker"] for partition in town.document()["partitions"]}


@contextmanager
def second_worker(stack: Stack) -> Iterator[ManagedProcess]:
    """Run another worker of the same installation."""
    environment = {**stack.env_for(WORKER), "HTTP_PORT": str(SECOND_PORT)}
    command = (sys.executable, "-m", "services.analytics", "worker")
    launch = Launch("second-worker", command, environment, CHECKOUT, lambda: is_ready(SECOND_PORT), 120)
    process = ManagedProcess(launch, stack.root)
    process.start()
    try:
        process.wait_ready()
        yield process
    finally:
        process.stop()


def _operate(stack: Stack, *arguments: str) -> str:
    """Run the operators' command; return what it said."""
    command = [sys.executable, "-m", "services.cli", *arguments]
    done = subprocess.run(
        command, env=stack.env_for(WORKER), cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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


async def _read(stack: Stack, topic: str, wanted: int) -> int:
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
