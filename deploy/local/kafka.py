"""Genuine Apache Kafka on one machine: KRaft, one node or three, small heaps. Owns its configuration and its data."""

import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import jars, kafka_probe
from deploy.local.errors import LocalError
from deploy.local.java import find_java
from deploy.local.processes import Launch
from shared.kafka.client import in_sync

_JVM = ["-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
_LOGGING = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]


@dataclass(frozen=True)
class Node:
    """A broker that is a controller too. `advertised`: where clients are sent to; `replication_port`: between nodes."""

    name: str
    number: int
    port: int
    controller_port: int
    advertised: int
    replication_port: int | None = None


@dataclass(frozen=True)
class Kafka:
    """What is needed to run the cluster: `java`, the jars, where the data lives, its nodes."""

    java: Path
    class_path: str
    version: str
    directory: Path
    nodes: tuple[Node, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The processes it consists of."""
        return tuple(node.name for node in self.nodes)

    def launch(self, name: str) -> Launch:
        """How a node is started; formats its storage where there is none yet."""
        node = next(node for node in self.nodes if node.name == name)
        home = self._home(node)
        home.mkdir(parents=True, exist_ok=True)
        config = home / "server.properties"
        config.write_text(properties(home / "data", node, self.nodes))
        if not (home / "data" / "meta.properties").exists():
            self._format(config)
        heap = "-Xmx384m" if len(self.nodes) == 1 else "-Xmx256m"
        command = [str(self.java), heap, *_JVM, *_LOGGING, "-cp", self.class_path, "kafka.Kafka", str(config)]
        return Launch(name, command, os.environ, home, lambda: answers(node), 120, stop_seconds=30)

    def wipe(self) -> None:
        """Remove all data: the next start formats an empty cluster with a new id. No node must run."""
        for node in self.nodes:
            shutil.rmtree(self._home(node) / "data", ignore_errors=True)
        self._draw_id()

    def prepare(self) -> None:
        """Choose the id of a cluster that has none yet."""
        if not (self.directory / "cluster-id").exists():
            self._draw_id()

    def _draw_id(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        drawn = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        (self.directory / "cluster-id").write_text(drawn)

    def _home(self, node: Node) -> Path:
        return self.directory if node.number == 1 else self.directory / node.name

    def _format(self, config: Path) -> None:
        cluster = (self.directory / "cluster-id").read_text()
        command = [str(self.java), "-XX:TieredStopAtLevel=1", "-cp", self.class_path, "kafka.tools.StorageTool"]
        result = subprocess.run(
            [*command, "format", "--cluster-id", cluster, "--config", str(config)],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise LocalError(
                f"Kafka's storage could not be formatted: {(result.stderr or result.stdout).strip()[-400:]}"
            )


def prepare(directory: Path, nodes: Sequence[Node]) -> Kafka:
    """Find Java and the jars, downloading what is missing. Raises LocalError with the reason when it cannot."""
    listed = jars.parse_list(jars.LIST.read_text())
    paths = jars.fetch(listed)
    class_path = os.pathsep.join(map(str, paths))
    found = Kafka(find_java(), class_path, jars.kafka_version(listed), directory, tuple(nodes))
    found.prepare()
    return found


def answers(node: Node) -> bool:
    """Whether the node is registered with its controller and serves clients."""
    return kafka_probe.cluster_id(node.port) is not None


def properties(data: Path, node: Node, nodes: Sequence[Node]) -> str:
    """server.properties of a node. Alone it waits for nobody; of three, two must have a record that is acknowledged."""
    copies = len(nodes)
    settings = {
        "process.roles": "broker,controller",
        "node.id": node.number,
        "controller.quorum.voters": ",".join(f"{one.number}@127.0.0.1:{one.controller_port}" for one in nodes),
        **_listeners(node),
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync(copies),
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 6,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync(copies),
        "transaction.state.log.num.partitions": 3,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync(copies),
        "group.initial.rebalance.delay.ms": 0,
        # After a kill -9 the controller admits the broker again when its old session has ended: soon, not after 9 s.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        # A group's committed offsets must outlive a holiday with the machine switched off.
        "offsets.retention.minutes": 60 * 24 * 90,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _listeners(node: Node) -> dict[str, str]:
    """Clients come by one listener, other nodes by another, so that a client's bad network is not the nodes'."""
    clients, controller = f"PLAINTEXT://127.0.0.1:{node.port}", f"CONTROLLER://127.0.0.1:{node.controller_port}"
    advertised = f"PLAINTEXT://127.0.0.1:{node.advertised}"
    if node.replication_port is None:
        return {"listeners": f"{clients},{controller}", "advertised.listeners": advertised}
    replication = f"REPLICATION://127.0.0.1:{node.replication_port}"
    names = ("PLAINTEXT", "REPLICATION", "CONTROLLER")
    return {
        "listeners": f"{clients},{replication},{controller}",
        "advertised.listeners": f"{advertised},{replication}",
        "inter.broker.listener.name": "REPLICATION",
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
        # A follower that stops is out of the way of acknowledgements soon, not after 30 s.
        "replica.lag.time.max.ms": "6000",
    }
