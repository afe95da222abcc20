"""One campaign: stack, proxy, load and faults at once, then the audit. Owns the order of things and their state."""

import asyncio
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from deploy.local import processes
from deploy.local.chaos.disturb import Disturber
from deploy.local.chaos.figures import Canary, longest_pause, pauses
from deploy.local.chaos.load import Canaries, journeys
from deploy.local.chaos.plan import LINKS, Fault, plan
from deploy.local.chaos.state import State
from deploy.local.interrupts import ignore_interrupts
from deploy.local.journeys.audit import Check, Played, audit
from deploy.local.journeys.crowd import Crowd, residents
from deploy.local.journeys.town import Town
from deploy.local.ports import detour_of, port_of
from deploy.local.processes import Launch, ManagedProcess
from deploy.local.progress import Progress
from deploy.local.role_environment import QUIET, inherited
from deploy.local.stack import CHECKOUT, Stack
from deploy.local.supervisor import Supervisor

NODES: Final = 3
PATIENCE_SECONDS: Final = 400.0
SETTLE_SECONDS: Final = 300.0
TOLD_SECONDS: Final = 10.0
LONGEST_LULL_SECONDS: Final = 20.0
ENVIRONMENT: Final = {
    # The least a broker allows by default: a dead consumer's partitions go to others after six seconds.
    "KAFKA_SESSION_TIMEOUT_MS": "6000",
    **QUIET,
}


@dataclass
class Campaign:
    """Everything of one run. `side_by_side`: how many citizens are busy at once."""

    stack: Stack
    state: State
    progress: Progress
    side_by_side: int
    begun: float = field(default_factory=time.monotonic)

    def clock(self) -> float:
        """Seconds of the campaign, those of interrupted runs included."""
        return self.state.seconds + time.monotonic() - self.begun

    async def run(self) -> list[Check]:
        """Disturb while dossiers flow, then count. Returns every check."""
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=20, limits=limits) as http, httpx.AsyncClient(timeout=5) as quick:
            town = _town(self.stack, http)
            people = await residents(town)
            crowd = Crowd(town, people, self.side_by_side, told=self._played)
            clean = [person for person in people if not person["has_debts"]]
            canaries = Canaries(_town(self.stack, quick), clean, self.clock, self._flown)
            await self._disturbed(crowd, canaries)
            self.state.failures += crowd.failures + canaries.failures
            self.save()
            with self.progress.step("counted"):
                return await audit(self.stack, town, self.state.played, SETTLE_SECONDS)

    def save(self) -> None:
        """Remember where this run has come to."""
        now = time.monotonic()
        self.state.seconds, self.begun = self.state.seconds + now - self.begun, now
        self.state.save(self.stack.root / "campaign.json")

    async def _disturbed(self, crowd: Crowd, canaries: Canaries) -> None:
        ended = asyncio.Event()
        flying = asyncio.create_task(canaries.fly(ended))
        telling = asyncio.create_task(self._tell())
        faults = asyncio.create_task(self._all_faults())
        left = max(0, self.state.dossiers - len(self.state.played))
        try:
            await crowd.play(journeys(left, self.state.seed, self.state.slips))
            await faults
            ended.set()
            await flying
        finally:
            for task in (faults, telling, flying):
                task.cancel()

    async def _all_faults(self) -> None:
        disturber = Disturber(self.stack, self.clock, self._told)
        known = {one.fault.number for one in self.state.done}
        async with asyncio.TaskGroup() as group:
            for fault in plan(self.state.kills, self.state.seed):
                if fault.number not in known:
                    await self._until(fault)
                    group.create_task(self._one_fault(disturber, fault))

    async def _until(self, fault: Fault) -> None:
        """Wait until so many dossiers are through, but not for ever: a lull must not save anybody."""
        until = time.monotonic() + LONGEST_LULL_SECONDS
        while len(self.state.played) < fault.at * self.state.dossiers and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def _one_fault(self, disturber: Disturber, fault: Fault) -> None:
        self.state.done.append(await disturber.carry_out(fault))

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TOLD_SECONDS)
            self.save()
            state = self.state
            longest = longest_pause(pauses(state.canaries))
            self._told(
                f"{len(state.played)} of {state.dossiers} dossiers, {len(state.done)} faults over, "
                f"longest pause {longest:.1f} s"
            )

    def _told(self, text: str) -> None:
        self.progress.say(f"  {self.clock():7.1f} s  {text}")

    def _played(self, played: Played) -> None:
        self.state.played.append(played)

    def _flown(self, canary: Canary | None, played: Played) -> None:
        if canary is not None:
            self.state.canaries.append(canary)
        self.state.played.append(played)


def run(state: State, root: Path, base_port: int, side_by_side: int, progress: Progress) -> list[Check]:
    """Start everything, run the campaign, stop everything; return what was counted. Raises LocalError."""
    catalogue = str(CHECKOUT / "deploy" / "local" / "catalogue")
    environment = {**ENVIRONMENT, "CATALOGUE": catalogue}
    stack = Stack(root, base_port, "kafka", environment, progress=progress, nodes=NODES, detours=True)
    with ExitStack() as running:
        running.enter_context(_proxy(stack))
        stack.start()
        running.callback(stack.stop)
        supervisor = Supervisor(stack)
        supervisor.start()
        running.callback(supervisor.stop)
        campaign = Campaign(stack, state, progress, side_by_side)
        running.callback(campaign.save)
        running.callback(ignore_interrupts)
        return asyncio.run(campaign.run())


def _town(stack: Stack, http: httpx.AsyncClient) -> Town:
    town = Town.of(stack, http)
    town.patience = PATIENCE_SECONDS
    town.poll_seconds = 1.0
    return town


@contextmanager
def _proxy(stack: Stack) -> Iterator[None]:
    """The fault proxy, before everything and after everything."""
    directory = stack.root / "proxy"
    processes.reap(directory)
    control = detour_of("proxy", stack.base_port)
    links = [f"{name}={detour_of(name, stack.base_port)}:{port_of(name, stack.base_port)}" for name in LINKS]
    command = [sys.executable, "-m", "deploy.local.chaos.proxy", str(control), *links]
    process = ManagedProcess(Launch("proxy", command, inherited(), CHECKOUT, lambda: _listens(control)), directory)
    with process.started():
        yield


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        return bool(connection.getsockname() != connection.getpeername())
