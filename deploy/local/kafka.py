"""Genuine Apache Kafka on one machine: KRaft, one node, small heap. Owns its configuration and its data directory."""

import base64
import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from deploy.local import jars, kafka_probe
from deploy.local.errors import LocalError
from deploy.local.java import find_java
from deploy.local.processes import Launch

_JVM = ["-Xmx384m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
_LOGGING = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]


@dataclass(frozen=True)
class Kafka:
    """What is needed to run the broker: `java`, the jars, where the data lives, the ports."""

    java: Path
    class_path: str
    version: str
    directory: Path
    port: int
    controller_port: int

    def launch(self) -> Launch:
        """How the broker is started; formats the storage where there is none yet."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "server.properties"
        config.write_text(properties(self.directory / "data", self.port, self.controller_port))
        if not (self.directory / "data" / "meta.properties").exists():
            self._format(config)
        command = [str(self.java), *_JVM, *_LOGGING, "-cp", self.class_path, "kafka.Kafka", str(config)]
        return Launch("broker", command, os.environ, self.directory, self.answers, stop_seconds=30)

    def answers(self) -> bool:
        """Whether the broker is registered with its controller and serves clients."""
        return kafka_probe.cluster_id(self.port) is not None

    def wipe(self) -> None:
        """Remove all data: the next start formats an empty cluster with a new id. The broker must not run."""
        shutil.rmtree(self.directory / "data", ignore_errors=True)

    def _format(self, config: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
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


def prepare(directory: Path, port: int, controller_port: int) -> Kafka:
    """Find Java and the jars, downloading what is missing. Raises LocalError with the reason when it cannot."""
    listed = jars.parse_list(jars.LIST.read_text())
    paths = jars.fetch(listed)
    class_path = os.pathsep.join(map(str, paths))
    return Kafka(find_java(), class_path, jars.kafka_version(listed), directory, port, controller_port)


def properties(data: Path, port: int, controller_port: int) -> str:
    """server.properties of the one node: all replication factors 1, nothing waits for a second broker."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 6,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 3,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
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
