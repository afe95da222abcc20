"""One soak: start everything, look for the highest steady rate, hold most of it, stop. Owns the order and the clock."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from pymongo import MongoClient

from deploy.local.errors import LocalError
from deploy.local.interrupts import ignore_interrupts
from deploy.local.journeys.crowd import Crowd, residents
from deploy.local.journeys.town import Town
from deploy.local.progress import Progress
from deploy.local.role_environment import QUIET
from deploy.local.roles import ROLES
from deploy.local.soak.flow import Flow
from deploy.local.soak.probe import Probe
from deploy.local.soak.rate import FIRST_RATE, SHARE, Search, highest, overrun
from deploy.local.soak.samples import SAMPLE_SECONDS, Phase, Sample
from deploy.local.stack import Stack

TOLD_EVERY: Final = 3
DRAIN_SECONDS: Final = 120.0
CITIZENS_POLL_SECONDS: Final = 1.0


@dataclass
class Soak:
    """A soak of `minutes` at `rate` dossiers a second (None: found first), and what comes of it.

    `begun`: the clock's seconds at the first dossier.
    """

    minutes: float
    rate: float | None
    progress: Progress
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    begun: float = 0.0

    async def run(self, stack: Stack) -> None:
        """Seek, drain, hold. Raises LocalError when a process ends by itself."""
        crowded = httpx.AsyncClient(timeout=20, limits=httpx.Limits(max_connections=None))
        # A connection kept for five seconds, as long as between two looks, may be closed just when it is given out.
        looking = httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))
        with MongoClient[dict[str, Any]](stack.root_mongo_uri) as mongo:
            async with crowded, looking:
                town = Town.of(stack, crowded)
                town.poll_seconds = CITIZENS_POLL_SECONDS
                flow = Flow(Crowd(town, await residents(town)))
                running = asyncio.create_task(flow.run())
                try:
                    await self._phases(flow, Probe(stack, looking, mongo))
                finally:
                    running.cancel()
                    self.failures = flow.failures

    async def _phases(self, flow: Flow, probe: Probe) -> None:
        self.begun = time.monotonic()
        rate = self.rate or await self._sought(flow, probe)
        flow.turn(rate)
        seconds = self.minutes * 60
        await self._sampled(flow, probe, "holding", lambda sample, passed: passed >= seconds)
        flow.turn(0)
        await flow.drain(DRAIN_SECONDS)

    async def _sought(self, flow: Flow, probe: Probe) -> float:
        """Return the rate to hold: most of the highest at which dossiers ended before something waited too long."""
        search = Search.within(self.minutes)

        def found(sample: Sample, passed: float) -> bool:
            flow.turn(search.rate(passed))
            return overrun(sample) is not None or passed >= search.seconds

        flow.turn(FIRST_RATE)
        await self._sampled(flow, probe, "seeking", found)
        top = highest(self.samples)
        if top == 0:
            raise LocalError("Not one journey came to its end while the rate was sought.")
        why = overrun(self.samples[-1]) or "nothing waited too long in the time there was"
        self.progress.say(f"  at most {top:.2f} dossiers a second ({why}); {SHARE:.0%} of it is held")
        flow.turn(0)
        await self._sampled(flow, probe, "draining", lambda one, passed: not one.under_way or passed >= DRAIN_SECONDS)
        return SHARE * top

    async def _sampled(self, flow: Flow, probe: Probe, phase: Phase, enough: Callable[[Sample, float], bool]) -> None:
        """Look every five seconds until it is `enough`, a function of the sample and the seconds of this phase."""
        began = due = time.monotonic()
        while True:
            look = await probe.look()
            now = time.monotonic()
            sample = Sample(
                **vars(look),
                seconds=now - self.begun,
                phase=phase,
                rate=flow.rate,
                begun=flow.begun,
                ended=flow.ended,
            )
            self.samples.append(sample)
            if len(self.samples) % TOLD_EVERY == 1:
                self.progress.say(line(sample))
            if enough(sample, now - began):
                return
            due = max(due + SAMPLE_SECONDS, now)
            await asyncio.sleep(due - now)


def line(sample: Sample) -> str:
    """Return the line of progress."""
    roles = sum(size for name, size in sample.rss.items() if name in ROLES)
    return (
        f"  {sample.seconds:6.0f} s  {sample.phase} {sample.rate:.2f}/s: {sample.ended} done, "
        f"{sample.under_way} under way, lag {sample.lag:.1f} s, due {sample.due:.1f} s, "
        f"unpublished {sample.backlog}, roles {roles / 1e6:.0f} MB"
    )


def run(soak: Soak, root: Path, base_port: int) -> str | None:
    """Start everything, soak, stop everything; return why it ended before its time, None if it did not.

    Raises LocalError when the stack cannot be started.
    """
    stack = Stack(root, base_port, "kafka", QUIET, progress=soak.progress)
    with ExitStack() as running:
        try:
            stack.start()
            running.callback(stack.stop)
            running.callback(ignore_interrupts)
            return _soaked(soak, stack)
        except KeyboardInterrupt:
            return "interrupted"


def _soaked(soak: Soak, stack: Stack) -> str | None:
    try:
        asyncio.run(soak.run(stack))
    except LocalError as error:
        return str(error)
    return None
