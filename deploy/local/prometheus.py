"""A real Prometheus beside a local stack: it scrapes the roles as docker-compose's and a cluster's do, and answers.

Owns its configuration, data and process under `root`. Knows no metric and no alert; the program is Debian's.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.local import preflight
from deploy.local.errors import LocalError
from deploy.local.processes import Launch, ManagedProcess
from deploy.local.role_environment import inherited
from deploy.local.roles import ROLES
from deploy.local.stack import Stack

PROGRAM: Final = "prometheus"
_HOST: Final = "127.0.0.1"
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Target:
    """One replica of a role. `role` as in `intake-api`; job and label come from it, as in deploy/prometheus."""

    role: str
    port: int

    def entry(self) -> dict[str, Any]:
        """The entry of a target file (file_sd_config of the Prometheus configuration)."""
        service, _, kind = self.role.partition("-")
        return {"targets": [f"{_HOST}:{self.port}"], "labels": {"job": service, "role": kind}}


@dataclass(frozen=True)
class Sample:
    """One series of an answer. `value` is the newest, `values` all (seconds since the epoch, value) of a range."""

    labels: Mapping[str, str]
    value: float
    values: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Plan:
    """How often Prometheus looks, what rules it evaluates, and whom it tells."""

    interval_seconds: float = 1.0
    evaluation_seconds: float = 1.0
    rules: Sequence[Path] = ()
    alertmanager: str | None = None
    """Address as in `127.0.0.1:9093`."""


def installed() -> bool:
    """Whether the program is on PATH; tests that need it skip by this name when it is not."""
    return shutil.which(PROGRAM) is not None


def targets_of(stack: Stack) -> list[Target]:
    """The roles of a stack, one replica each."""
    return [Target(role, stack.settings.port(role)) for role in stack.roles if role in ROLES]


@dataclass
class Prometheus:
    """One server. All calls block; `watch` may change the targets while it runs, as replicas come and go."""

    root: Path
    port: int
    plan: Plan = field(default_factory=Plan)
    _process: ManagedProcess | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""
        return f"http://{_HOST}:{self.port}"

    def start(self, targets: Sequence[Target]) -> None:
        """Start and return when it answers. Raises LocalError: not installed, port taken, or the end of its log."""
        if (program := shutil.which(PROGRAM)) is None:
            raise LocalError("Prometheus is missing: `apt-get install prometheus` as root.")
        preflight.require_free_ports({PROGRAM: self.port})
        self.root.mkdir(parents=True, exist_ok=True)
        self.watch(targets)
        configuration = self.root / "prometheus.json"  # JSON is YAML
        configuration.write_text(json.dumps(_configuration(self.plan, self._target_file), indent=2))
        command = (
            program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self.root / 'data'}",
            f"--web.listen-address={_HOST}:{self.port}",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
        )
        launch = Launch(PROGRAM, command, inherited(), self.root, self._is_ready)
        self._process = ManagedProcess(launch, self.root)
        self._process.start()
        self._process.wait_ready()

    def stop(self) -> None:
        """End it cleanly; the data stay under `root`."""
        if self._process is not None:
            self._process.stop()

    def watch(self, targets: Sequence[Target]) -> None:
        """Scrape these from now on; takes effect within some five seconds (Prometheus gathers discoveries so long)."""
        fresh = self._target_file.with_suffix(".new")
        fresh.write_text(json.dumps([target.entry() for target in targets]))
        fresh.replace(self._target_file)

    def query(self, expression: str, at: float | None = None) -> list[Sample]:
        """Evaluate at a time (seconds since the epoch, None: now). Raises LocalError with Prometheus's own words."""
        answer = self._ask("query", {"query": expression, **({} if at is None else {"time": str(at)})})
        if answer["resultType"] == "scalar":
            return [Sample({}, float(answer["result"][1]))]
        return [Sample(one["metric"], float(one["value"][1])) for one in answer["result"]]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Sample]:
        """Evaluate from `start` to `end` (seconds since the epoch) every `step` seconds. Raises as `query`."""
        asked = {"query": expression, "start": str(start), "end": str(end), "step": str(step)}
        found = []
        for one in self._ask("query_range", asked)["result"]:
            values = tuple((float(moment), float(value)) for moment, value in one["values"])
            found.append(Sample(one["metric"], values[-1][1], values))
        return found

    def exemplars(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """The exemplars of the series in an expression, as the HTTP API gives them. Raises as `query`."""
        found: list[dict[str, Any]] = self._ask(
            "query_exemplars", {"query": expression, "start": str(start), "end": str(end)}
        )
        return found

    def wait_for(
        self, expression: str, holds: Callable[[Sequence[Sample]], bool] = bool, seconds: float = 30.0
    ) -> list[Sample]:
        """Return the first answer for which `holds` (default: any series). Raises LocalError with the last answer."""
        end = time.monotonic() + seconds
        while True:
            found = self.query(expression)
            if holds(found):
                return found
            if time.monotonic() > end:
                raise LocalError(f"After {seconds:.0f} s `{expression}` still answers {found[:10]}.")
            time.sleep(_POLL_SECONDS)

    def wait_scraped(self, count: int, seconds: float = 30.0) -> None:
        """Return once so many targets have answered a scrape. Raises LocalError."""
        self.wait_for("sum(up) or vector(0)", lambda found: found[0].value >= count, seconds)

    @property
    def _target_file(self) -> Path:
        return self.root / "targets.json"

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False, timeout=2).is_success
        except httpx.HTTPError:
            return False

    def _ask(self, what: str, fields: Mapping[str, str]) -> Any:
        try:
            response = httpx.post(f"{self.url}/api/v1/{what}", data=fields, trust_env=False, timeout=20)
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise LocalError(f"Prometheus did not answer: {type(error).__name__}.") from error
        if answer["status"] != "success":
            raise LocalError(f"Prometheus refused `{fields['query']}`: {answer['error']}.")
        return answer["data"]


def _configuration(plan: Plan, target_file: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        "global": {
            "scrape_interval": _duration(plan.interval_seconds),
            "scrape_timeout": _duration(plan.interval_seconds),
            "evaluation_interval": _duration(plan.evaluation_seconds),
        },
        "rule_files": [str(path) for path in plan.rules],
        "scrape_configs": [
            {"job_name": "roles", "file_sd_configs": [{"files": [str(target_file)], "refresh_interval": "1s"}]}
        ],
    }
    if plan.alertmanager is not None:
        managers = [{"static_configs": [{"targets": [plan.alertmanager]}]}]
        found["alerting"] = {"alertmanagers": managers}
    return found


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
