"""The local stack for real: MongoDB and brokers as processes, killed, emptied, and found again after an abort."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from deploy.local import broker, kafka_probe, lock, processes
from deploy.local.errors import LocalError
from deploy.local.ports import OFFSETS, port_of
from deploy.local.stack import Stack
from shared.contracts.topics import all_topics

BASE = 24200 + os.getpid() % 20 * 200
COUNT = 50


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack with genuine Kafka and a database; nothing of it is left afterwards."""
    stack = Stack(tmp_path / "stack", BASE, _kafka_or_skip(tmp_path))
    try:
        stack.start_infrastructure()
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Stack]:
    """A stack on the embedded broker."""
    stack = Stack(tmp_path / "stack", BASE, "embedded")
    try:
        stack.start_infrastructure()
        yield stack
    finally:
        stack.stop()


def _kafka_or_skip(folder: Path) -> str:
    try:
        broker.prepare("kafka", folder / "probe", BASE)
    except LocalError as error:
        pytest.skip(str(error))
    return "kafka"


async def _send(bootstrap: str, *, idempotent: bool = True) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("probe.events", 3, 1)])
    finally:
        await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=idempotent, acks="all")
    try:
        await producer.start()
        for number in range(COUNT):
            await producer.send_and_wait("probe.events", str(number).encode())
    finally:
        await producer.stop()


async def _receive(bootstrap: str) -> list[int]:
    consumer = AIOKafkaConsumer("probe.events", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    received: list[int] = []
    try:
        async with asyncio.timeout(30):
            while len(received) < COUNT:
                batch = await consumer.getmany(timeout_ms=500)
                received += [int(record.value) for records in batch.values() for record in records]
    finally:
        await consumer.stop()
    return sorted(received)


async def _topics(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return [str(topic) for topic in await admin.list_topics() if not str(topic).startswith("__")]
    finally:
        await admin.close()


def _write(uri: str, database: str) -> None:
    with MongoClient[dict[str, object]](uri) as client:
        client[database].probe.insert_one({"_id": "kept"})


def _count(uri: str, database: str) -> int:
    with MongoClient[dict[str, object]](uri) as client:
        return client[database].probe.count_documents({})


def test_broker_keeps_acknowledged_records_over_kill(stack: Stack) -> None:
    """After kill -9 and a restart the same cluster still holds every acknowledged record."""
    assert (stack.broker_kind, stack.broker_reason[:14]) == ("kafka", "Apache Kafka 4")
    asyncio.run(_send(stack.bootstrap))
    before = kafka_probe.cluster_id(port_of("broker", BASE))
    stack.kill("broker")
    with pytest.raises(OSError, match="refused"):
        kafka_probe.cluster_id(port_of("broker", BASE))
    stack.restart("broker")
    assert kafka_probe.cluster_id(port_of("broker", BASE)) == before
    assert asyncio.run(_receive(stack.bootstrap)) == list(range(COUNT))


def test_wiped_broker_is_another_empty_cluster(stack: Stack) -> None:
    """A wiped broker has no topic and a new cluster id, by which services notice."""
    asyncio.run(_send(stack.bootstrap))
    before = kafka_probe.cluster_id(port_of("broker", BASE))
    stack.wipe_broker()
    assert kafka_probe.cluster_id(port_of("broker", BASE)) not in (None, before)
    assert asyncio.run(_topics(stack.bootstrap)) == []


def test_database_keeps_journaled_writes_over_kill(stack: Stack) -> None:
    """After kill -9 and a restart the database is primary again, with its users and what was written."""
    _write(stack.mongo_uri("intake"), "intake")
    stack.kill("mongo")
    stack.restart("mongo")
    assert _count(stack.mongo_uri("intake"), "intake") == 1


def test_database_users_are_kept_apart(embedded: Stack) -> None:
    """A service's user may neither read nor write another service's database, nor may anybody without a password."""
    with pytest.raises(OperationFailure, match="not authorized"):
        _write(embedded.mongo_uri("payments"), "intake")
    with pytest.raises(OperationFailure, match="not authorized"):
        _count(embedded.mongo_uri("notifications"), "vault")
    with pytest.raises(OperationFailure, match="requires authentication"):
        _count(f"mongodb://127.0.0.1:{port_of('mongo', BASE)}/?directConnection=true", "intake")


def test_secrets_are_private(embedded: Stack) -> None:
    """Only the owner may read the secrets and the key file."""
    for name in ("secrets.json", "mongo/keyfile"):
        assert (embedded.root / name).stat().st_mode & 0o077 == 0


def test_embedded_broker_carries_records_and_forgets_them(embedded: Stack) -> None:
    """The embedded broker carries records without idempotence; a restart makes it another, empty cluster."""
    asyncio.run(_send(embedded.bootstrap, idempotent=False))
    assert asyncio.run(_receive(embedded.bootstrap)) == list(range(COUNT))
    before = kafka_probe.cluster_id(port_of("broker", BASE))
    embedded.restart("broker")
    assert kafka_probe.cluster_id(port_of("broker", BASE)) not in (None, before)


@pytest.mark.parametrize("kind", ["embedded", "stack"])
def test_topics_are_created_once_and_for_all(kind: str, request: pytest.FixtureRequest) -> None:
    """On either broker all topics are there afterwards, and creating them again changes nothing."""
    stack: Stack = request.getfixturevalue(kind)
    stack.create_topics()
    stack.create_topics()
    assert set(asyncio.run(_topics(stack.bootstrap))) == {topic.name for topic in all_topics(())}


def test_embedded_broker_refuses_idempotent_producers(embedded: Stack) -> None:
    """The reason for KAFKA_IDEMPOTENCE=false: should this ever pass, the setting can go."""
    with pytest.raises((KafkaError, TimeoutError)):
        asyncio.run(asyncio.wait_for(_send(embedded.bootstrap), 10))


def test_next_start_cleans_up_after_an_abort(tmp_path: Path) -> None:
    """When `./dev` itself is killed, the next start ends what it left running and continues with the data."""
    root = tmp_path / "stack"
    program = (
        "import os, pathlib, signal; from deploy.local.stack import Stack; "
        f"stack = Stack(pathlib.Path({str(root)!r}), {BASE}, 'embedded'); stack.start_infrastructure(); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    aborted = subprocess.run([sys.executable, "-c", program], check=False)
    assert aborted.returncode == -signal.SIGKILL
    left = processes.running(root)
    assert set(left) == {"mongo", "broker"}
    stack = Stack(root, BASE, "embedded")
    try:
        stack.start_infrastructure()
        assert not set(left.values()) & set(processes.running(root).values())
        assert _count(stack.mongo_uri("intake"), "intake") == 0
    finally:
        stack.stop()
    assert processes.running(root) == {}


def test_a_reused_pid_is_left_alone(tmp_path: Path) -> None:
    """A pid file that names a process with another start time ends nothing."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "intake-api.json").write_text(json.dumps({"pid": os.getpid(), "start": "other-boot:1"}))
    assert processes.running(tmp_path) == {}
    assert processes.reap(tmp_path) == []
    assert not list((tmp_path / "run").iterdir())


def test_data_moves_to_other_ports(tmp_path: Path) -> None:
    """The same data directory may be started on another base port."""
    for base in (BASE, BASE + 2000):
        stack = Stack(tmp_path / "stack", base, "embedded")
        try:
            stack.start_infrastructure()
            assert _count(stack.mongo_uri("intake"), "intake") == (base > BASE)
            _write(stack.mongo_uri("intake"), "intake") if base == BASE else None
        finally:
            stack.stop()


def test_two_stacks_run_side_by_side(embedded: Stack, tmp_path: Path) -> None:
    """A second stack with its own directory and base does not disturb the first."""
    second = Stack(tmp_path / "second", BASE + 2000, "embedded")
    try:
        second.start_infrastructure()
        _write(embedded.mongo_uri("intake"), "intake")
        assert _count(second.mongo_uri("intake"), "intake") == 0
    finally:
        second.stop()
    assert _count(embedded.mongo_uri("intake"), "intake") == 1


def test_one_stack_per_directory(embedded: Stack) -> None:
    """A second `up` from the same directory is refused instead of ending the first one's processes."""
    with ThreadPoolExecutor(max_workers=1) as pool, pytest.raises(LocalError, match="already runs"):
        pool.submit(Stack(embedded.root, BASE + 2000, "embedded").start_infrastructure).result()
    assert lock.holder(embedded.root / "stack.lock") == os.getpid()
    assert embedded.process("mongo").pid is not None


def test_port_in_use_is_named(embedded: Stack, tmp_path: Path) -> None:
    """A taken port is said with its number and the process that has it, and nothing is started."""
    second = Stack(tmp_path / "second", BASE + OFFSETS["mongo"], "embedded")
    with pytest.raises(
        LocalError, match=rf"Port {BASE + OFFSETS['mongo']}, needed for intake-api, .*mongod"
    ) as failure:
        second.start_infrastructure()
    second.stop()
    assert f"process {embedded.process('mongo').pid}" in str(failure.value)
    assert processes.running(second.root) == {}


def test_failed_start_shows_the_log(embedded: Stack) -> None:
    """A process that ends before it is ready is reported with its exit code and the end of its log."""
    with pytest.raises(LocalError, match=r"oidc ended with exit code \d+(.|\n)*HTTP_PORT|oidc ended(.|\n)*http_port"):
        embedded.start_role("oidc", {"HTTP_PORT": "none"})
