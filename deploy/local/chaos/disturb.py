"""Carries faults out against a running stack and waits until each victim is well again. Decides nothing."""

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from deploy.local import mongo, topics
from deploy.local.chaos import proxy
from deploy.local.chaos.figures import Done
from deploy.local.chaos.plan import BROKERS, Fault
from deploy.local.errors import LocalError
from deploy.local.ports import detour_of
from deploy.local.stack import Stack
from shared.errors import BrokerUnavailable
from shared.kafka.client import admin

WELL_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.2
DELAY_SECONDS: Final = 0.15


@dataclass
class Disturber:
    """Disturbs one stack. `clock` gives seconds of the campaign; `told` hears what begins and what is well again."""

    stack: Stack
    clock: Callable[[], float]
    told: Callable[[str], None]
    _lanes: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def carry_out(self, fault: Fault) -> Done:
        """Disturb, let it be, and wait until the victim is well; its lane is taken until then."""
        async with self._lanes[fault.lane]:
            began = self.clock()
            self.told(f"{fault.kind} {fault.victim}" + (f" {fault.seconds:.0f} s" if fault.seconds else ""))
            await getattr(self, f"_{fault.kind}")(fault)
            well = await self._well(fault)
            if not well:
                self.told(f"{fault.victim} was not well within {WELL_SECONDS:.0f} s after {fault.kind}")
            return Done(fault, round(began, 2), round(self.clock(), 2) if well else None)

    async def _kill(self, fault: Fault) -> None:
        """Kill -9; the supervisor brings it back."""
        await asyncio.to_thread(self.stack.kill, fault.victim)

    async def _freeze(self, fault: Fault) -> None:
        self.stack.kill(fault.victim, signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        self.stack.kill(fault.victim, signal.SIGCONT)

    async def _restart(self, fault: Fault) -> None:
        await asyncio.to_thread(self.stack.stop_role, fault.victim)
        await asyncio.to_thread(self.stack.respawn, fault.victim)

    async def _step_down(self, _: Fault) -> None:
        await asyncio.to_thread(mongo.step_down, self.stack.mongo)

    async def _replica(self, fault: Fault) -> None:
        """Add a second consumer and take it away again, orderly or not."""
        name = f"{fault.victim}+2"
        try:
            await asyncio.to_thread(self.stack.start_role, name)
        except LocalError as error:
            self.told(str(error))
        await asyncio.sleep(fault.seconds)
        process = self.stack.process(name)
        process.wanted = False
        await asyncio.to_thread(process.stop if fault.number % 2 else process.kill)

    async def _delay(self, fault: Fault) -> None:
        await self._misbehave(fault, "delay", DELAY_SECONDS)

    async def _cut(self, fault: Fault) -> None:
        await self._misbehave(fault, "cut")

    async def _half_open(self, fault: Fault) -> None:
        await self._misbehave(fault, "half_open")

    async def _misbehave(self, fault: Fault, mode: proxy.Mode, seconds: float = 0.0) -> None:
        control = detour_of("proxy", self.stack.base_port)
        await proxy.order(control, fault.victim, mode, seconds)
        await asyncio.sleep(fault.seconds)
        await proxy.order(control, fault.victim, "open")

    async def _well(self, fault: Fault) -> bool:
        until = time.monotonic() + WELL_SECONDS
        while time.monotonic() < until:
            if await self._is_well(fault):
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def _is_well(self, fault: Fault) -> bool:
        if fault.lane == "broker":
            return await asyncio.to_thread(self._answer, *BROKERS) and await in_sync(self.stack)
        if fault.lane == "mongo":
            return await asyncio.to_thread(self._database_is_whole)
        return fault.victim not in self.stack.names() or await asyncio.to_thread(self._answer, fault.victim)

    def _answer(self, *names: str) -> bool:
        return all(self._answers(name) for name in names)

    def _answers(self, name: str) -> bool:
        process = self.stack.process(name)
        try:
            return process.exit_code is None and process.launch.ready()
        except OSError:
            return False

    def _database_is_whole(self) -> bool:
        settings = self.stack.mongo
        return mongo.primary(settings) is not None and all(mongo.serves(settings, one) for one in settings.members)


async def in_sync(stack: Stack) -> bool:
    """Whether every partition of every topic has all its copies in sync."""
    settings = topics.settings_of(stack.env_for("intake-api"))
    try:
        async with admin(settings) as client:
            described = await client.describe_topics()
    except BrokerUnavailable:
        return False
    parts = [part for topic in described for part in topic["partitions"]]
    return all(len(part["isr"]) == len(part["replicas"]) for part in parts)
