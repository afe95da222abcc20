"""Choosing and configuring the broker of a local stack, without starting one."""

import socket
import struct
from pathlib import Path
from typing import NoReturn

import pytest

from deploy.local import jars, kafka, kafka_probe
from deploy.local.broker import choose, kafka_node
from deploy.local.embedded import Embedded
from deploy.local.errors import LocalError
from deploy.local.java import java_version
from deploy.local.kafka import Kafka, Node
from shared.kafka.client import in_sync

KAFKA = Kafka(Path("java"), "a.jar", "4.3.1", Path("k"), (Node("broker", 1, 1, 2, 1),))
EMBEDDED = Embedded(Path("tansu"), "0.6", Path("e"), 1)
SHA = "a" * 64


def _unavailable() -> NoReturn:
    raise LocalError("Maven Central cannot be reached (timed out)")


def _never() -> NoReturn:
    raise AssertionError("must not be looked for")


@pytest.mark.parametrize("wish", ["auto", "kafka"])
def test_kafka_is_taken_where_it_can_be_had(wish: str) -> None:
    """`auto` and `kafka` both give Apache Kafka when it is there."""
    broker = choose(wish, lambda: KAFKA, _never)
    assert (broker.kind, broker.program, broker.reason) == ("kafka", KAFKA, "Apache Kafka 4.3.1.")


def test_auto_falls_back_and_says_why() -> None:
    """Where Kafka cannot be had, `auto` gives the embedded broker with the reason in one line."""
    broker = choose("auto", _unavailable, lambda: EMBEDDED)
    assert broker.kind == "embedded"
    assert "Maven Central cannot be reached (timed out)" in broker.reason
    assert "\n" not in broker.reason


def test_demanded_kafka_never_falls_back() -> None:
    """`kafka` fails with the reason instead of quietly taking another broker."""
    with pytest.raises(LocalError, match=r"Maven Central cannot be reached"):
        choose("kafka", _unavailable, _never)


def test_embedded_on_demand_does_not_look_for_kafka() -> None:
    """`embedded` neither looks for Java nor downloads anything."""
    assert choose("embedded", _never, lambda: EMBEDDED).kind == "embedded"


def test_unknown_broker_is_refused() -> None:
    """An unknown wish names the possible ones."""
    with pytest.raises(LocalError, match="auto, kafka, embedded"):
        choose("rabbit", _never, _never)


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25.0.2" 2026-01-20 LTS', 25),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "21-ea" 2023-09-19', 21),
        ("zsh: command not found: java", None),
    ],
)
def test_java_version(output: str, version: int | None) -> None:
    """The feature number is read from old and new version texts, and nothing is guessed."""
    assert java_version(output) == version


def test_committed_jar_list_is_complete() -> None:
    """The committed list holds one version of Kafka 4, a hash for each jar, and no jar twice."""
    listed = jars.parse_list(jars.LIST.read_text())
    assert jars.kafka_version(listed).startswith("4.")
    assert len({jar.path for jar in listed}) == len(listed) > 40
    assert {jar.version for jar in listed if jar.group == "org.apache.kafka"} == {jars.kafka_version(listed)}


def test_jar_path_follows_the_repository_layout() -> None:
    """Coordinates become the path of Maven's standard layout."""
    (jar,) = jars.parse_list(f"# broker\n\norg.apache.kafka:kafka_2.13:4.3.1 {SHA}\n")
    assert jar.path == "org/apache/kafka/kafka_2.13/4.3.1/kafka_2.13-4.3.1.jar"


@pytest.mark.parametrize("line", ["a:b:1", f"a:b {SHA}", f"a:b:1 {SHA[:-1]}", f"a/../b:c:1 {SHA}"])
def test_malformed_jar_line_is_refused(line: str) -> None:
    """A line without version or whole hash, or with a path in it, is refused with its number."""
    with pytest.raises(ValueError, match="line 2"):
        jars.parse_list(f"# list\n{line}\n")


def test_pom_pulls_in_nothing_unlisted() -> None:
    """The pom for mvn names the listed jars and excludes everything they depend on."""
    listed = jars.parse_list(f"g.one:a:1 {SHA}\ng.two:b:2 {SHA}\n")
    text = jars.pom(listed)
    assert text.count("<dependency>") == text.count("<artifactId>*</artifactId>") == 2
    assert "<groupId>g.two</groupId><artifactId>b</artifactId><version>2</version>" in text


def test_kafka_listens_on_loopback_only() -> None:
    """The broker is not reachable from other machines and creates no topic by accident."""
    node = Node("broker", 1, 29092, 29093, 29092)
    lines = kafka.properties(Path("data"), node, [node]).splitlines()
    assert "listeners=PLAINTEXT://127.0.0.1:29092,CONTROLLER://127.0.0.1:29093" in lines
    assert "auto.create.topics.enable=false" in lines


def test_three_nodes_keep_what_two_have_acknowledged() -> None:
    """Each of three nodes knows all voters, keeps three copies, two for an acknowledgement, offsets too."""
    nodes = [kafka_node(number, 20000, alone=False, detours=True) for number in (1, 2, 3)]
    lines = kafka.properties(Path("data"), nodes[1], nodes).splitlines()
    assert "node.id=2" in lines
    assert "controller.quorum.voters=1@127.0.0.1:20091,2@127.0.0.1:20096,3@127.0.0.1:20098" in lines
    assert {"min.insync.replicas=2", "offsets.topic.replication.factor=3", "default.replication.factor=3"} < set(lines)
    assert "advertised.listeners=PLAINTEXT://127.0.0.1:20114,REPLICATION://127.0.0.1:20106" in lines


@pytest.mark.parametrize(("copies", "needed"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_copies_that_must_have_a_record(copies: int, needed: int) -> None:
    """With three copies two must have a record before it counts, and one node may still be away."""
    assert in_sync(copies) == needed


def test_probe_is_not_fooled_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client port that nobody listens on may be connected to itself: that is no broker."""
    with socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))
        alone.connect(alone.getsockname())
        monkeypatch.setattr(socket, "create_connection", lambda *_args, **_options: alone)
        with pytest.raises(ConnectionError, match="nobody listens"):
            kafka_probe.cluster_id(1)


def test_one_node_waits_for_no_other() -> None:
    """Alone, a node acknowledges what it has."""
    node = kafka_node(1, 20000, alone=True, detours=False)
    lines = kafka.properties(Path("data"), node, [node]).splitlines()
    assert {"min.insync.replicas=1", "offsets.topic.replication.factor=1"} < set(lines)
    assert "advertised.listeners=PLAINTEXT://127.0.0.1:20090" in lines


def _metadata_answer(brokers: int) -> bytes:
    host = struct.pack(">h", 9) + b"127.0.0.1"
    one = struct.pack(">i", 1) + host + struct.pack(">i", 9092) + struct.pack(">h", -1)
    cluster = struct.pack(">h", 4) + b"abcd"
    return struct.pack(">ii", 1, brokers) + one * brokers + cluster + struct.pack(">ii", 1, 0)


def test_probe_reads_the_cluster_id() -> None:
    """The cluster id is found behind any number of brokers; without a live broker there is none."""
    assert [kafka_probe.parse(_metadata_answer(count)) for count in (0, 1, 3)] == [None, "abcd", "abcd"]


def test_probe_request_is_length_prefixed() -> None:
    """The request says its own length, as the protocol demands."""
    request = kafka_probe.request()
    assert struct.unpack_from(">ihh", request) == (len(request) - 4, 3, 2)
