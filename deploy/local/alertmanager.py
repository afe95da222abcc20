"""A real Alertmanager beside a local stack, with the configuration that is delivered: it says what an operator is told.

Owns its data and process under `root`. Knows no alert; the program is Debian's.
"""

import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.local.errors import LocalError
from deploy.local.processes import Launch, ManagedProcess
from deploy.local.role_environment import inherited
from deploy.local.stack import CHECKOUT

PROGRAM: Final = "prometheus-alertmanager"
CONFIGURATION: Final = CHECKOUT / "deploy" / "alertmanager" / "alertmanager.yml"
_HOST: Final = "127.0.0.1"
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Told:
    """One alert as Alertmanager holds it: labels, texts, whom it is sent to, whether another one silences it."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    receivers: tuple[str, ...]
    suppressed: bool

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]


def installed() -> bool:
    """Whether the program is on PATH; tests that need it skip by this name when it is not."""
    return shutil.which(PROGRAM) is not None


@dataclass
class Alertmanager:
    """One server. All calls block."""

    root: Path
    port: int
    _process: ManagedProcess | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        """Where Prometheus sends alerts, as in `127.0.0.1:9093`."""
        return f"{_HOST}:{self.port}"

    def start(self) -> None:
        """Start and return when it answers. Raises LocalError when it is not installed or does not start."""
        if (program := shutil.which(PROGRAM)) is None:
            raise LocalError(f"Alertmanager is missing: `apt-get install {PROGRAM}` as root.")
        self.root.mkdir(parents=True, exist_ok=True)
        command = (
            program,
            f"--config.file={CONFIGURATION}",
            f"--storage.path={self.root / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        )
        self._process = ManagedProcess(Launch(PROGRAM, command, inherited(), self.root, self._is_ready), self.root)
        self._process.start()
        self._process.wait_ready()

    def stop(self) -> None:
        """End it cleanly."""
        if self._process is not None:
            self._process.stop()

    def alerts(self) -> list[Told]:
        """What fires now. Raises LocalError when it does not answer."""
        try:
            answer = httpx.get(f"http://{self.address}/api/v2/alerts", trust_env=False, timeout=10)
            found: list[dict[str, Any]] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise LocalError(f"Alertmanager did not answer: {type(error).__name__}.") from error
        return [_told(one) for one in found]

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        return {one.name for one in self.alerts()}

    def wait_firing(self, names: Collection[str], seconds: float) -> None:
        """Return once all of these fire. Raises LocalError with those that do not."""
        self._wait(lambda: set(names) - self.firing(), "do not fire", seconds)

    def wait_clear(self, names: Collection[str], seconds: float) -> None:
        """Return once none of these fires any more. Raises LocalError with those that do."""
        self._wait(lambda: set(names) & self.firing(), "still fire", seconds)

    def _wait(self, left: Callable[[], set[str]], state: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while wrong := left():
            if time.monotonic() > end:
                raise LocalError(f"After {seconds:.0f} s {', '.join(sorted(wrong))} {state}.")
            time.sleep(_POLL_SECONDS)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://{self.address}/-/ready", trust_env=False, timeout=2).is_success
        except httpx.HTTPError:
            return False


def _told(one: Mapping[str, Any]) -> Told:
    receivers = tuple(receiver["name"] for receiver in one["receivers"])
    return Told(one["labels"], one["annotations"], receivers, one["status"]["state"] == "suppressed")
