"""What every benchmark stands on: a MongoDB and a genuine Kafka of its own on its own ports, in a folder that goes."""

import asyncio
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.journeys.town import Town
from deploy.local.processes import Launch, ManagedProcess
from deploy.local.progress import Progress
from deploy.local.role_environment import QUIET
from deploy.local.stack import CHECKOUT, Stack
from shared.contracts.topics import Topic
from shared.errors import BrokerUnavailable
from shared.kafka.client import ensure_topics
from shared.settings import CommonSettings

BASE_PORT = 22_400
BARE_PORT = BASE_PORT + 129
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Ground:
    """The infrastructure, and how many rounds are wanted."""

    stack: Stack
    rounds: int

    def mongo_uri(self, database: str) -> str:
        """Connection string of the administrator with this database in its path."""
        address, _, options = self.stack.root_mongo_uri.rpartition("/")
        return f"{address}/{database}{options}"

    def settings(self, **changes: Any) -> CommonSettings:
        """Settings of a role on this ground."""
        environment = self.stack.env_for("identity-worker")
        given = {name.lower(): value for name, value in environment.items() if value}
        return CommonSettings.model_validate({**given, **changes})

    async def topic(self, prefix: str) -> str:
        """Create a topic that never was, and return its name."""
        name = fresh(prefix)
        while True:
            try:
                await ensure_topics(self.settings(), [Topic(name, "bench", (), ())])
            except BrokerUnavailable:
                await asyncio.sleep(0.05)  # created, but not yet known to everybody
            else:
                return name

    async def tokens(self, count: int) -> list[dict[str, Any]]:
        """Return so many residents, each with an access token as `token`."""
        async with httpx.AsyncClient(timeout=30) as http:
            town = Town.of(self.stack, http)
            people = (await town.people())[:count]
            return [{**person, "token": await town.token(person["sub"], "citizen")} for person in people]

    @contextmanager
    def program(self, module: str, *arguments: str, **environment: str) -> Iterator[ManagedProcess]:
        """Run `python -m module` with a ready file named in READY, which it writes when it may be measured."""
        ready = self.stack.root / fresh("ready")
        process = ManagedProcess(
            Launch(
                module.rpartition(".")[2],
                (sys.executable, "-m", module, *arguments),
                {**self.stack.env_for("analytics-worker"), "READY": str(ready), **environment},
                CHECKOUT,
                ready.exists,
                deadline_seconds=120,
            ),
            self.stack.root,
        )
        with process.started():
            yield process


@contextmanager
def prepared(rounds: int) -> Iterator[Ground]:
    """Yield a fresh ground; nothing of it is left afterwards."""
    quiet = {**QUIET, "KAFKA_SESSION_TIMEOUT_MS": "6000"}
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as root:
        stack = Stack(Path(root), BASE_PORT, "kafka", quiet, progress=Progress(sys.stderr))
        try:
            stack.start_infrastructure()
            yield Ground(stack, rounds)
        finally:
            stack.stop()


def fresh(prefix: str) -> str:
    """A name that was never used before."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def megabytes(pid: int) -> int:
    """Memory that a process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE // 1_000_000


def pid_of(process: ManagedProcess) -> int:
    """The pid of a process that runs."""
    if process.pid is None:
        raise RuntimeError("the measured process has ended")
    return process.pid


def uses(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used between two readings."""
    return {name: after[name] - before[name] for name in after}
