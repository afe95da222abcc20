"""One run: draw a scenario from the seed, let it happen, heal, come to rest, look at what is left.

The same seed gives the same run to the last line of its log. `without` leaves injections out, to find the few that
matter.
"""

import asyncio
import logging
import random
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.contracts.topics import EVENT_TOPICS
from shared.environment import parse_timestamp
from shared.journal.model import Document
from tests.simulation import kafka
from tests.simulation.books import Books
from tests.simulation.broker import Place, SimBroker
from tests.simulation.faults import Faults
from tests.simulation.invariants import violations
from tests.simulation.people import People
from tests.simulation.processes import Fleet
from tests.simulation.providers import SimMailServer, SimProcessor, SimRegister
from tests.simulation.scenario import BUSY_SECONDS, Scenario, scenario
from tests.simulation.scheduler import Endless, SimLoop
from tests.simulation.store import SimDatabase
from tests.simulation.wires import Log, Wires
from tests.simulation.wiring import Parts, kinds, plugged

DATABASES: Final = ("intake", "identity", "payments", "notifications", "analytics", "vault")
READERS: Final = {topic.name: topic.readers for topic in EVENT_TOPICS}
QUIET_SECONDS: Final = 7.0
LONGEST_REST: Final = 500.0
LOOK_SECONDS: Final = 0.5
SET_BACK_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Run:
    """What a run led to. `violations` is empty when all is well; `log` and `digest` tell what happened."""

    seed: int
    scenario: Scenario
    violations: tuple[str, ...]
    log: tuple[str, ...]
    digest: str
    virtual_seconds: float
    steps: int


def run(seed: int, without: Collection[int] = (), plans: Collection[int] | None = None) -> Run:
    """Run a seed, without the injections of these numbers and with the applicants of these numbers only."""
    drawn = scenario(seed)
    kept = tuple(one for number, one in enumerate(drawn.injections) if number not in without)
    applicants = tuple(plan for plan in drawn.plans if plans is None or plan.number in plans)
    return live(seed, replace(drawn, plans=applicants, injections=kept))


def live(seed: int, chosen: Scenario, *, plug: bool = True) -> Run:
    """Run a scenario; the seed draws delays, choices and how people hesitate. `plug`: unless it is done already."""
    logging.disable(logging.CRITICAL)
    try:
        with plugged() if plug else nullcontext():
            return World(seed, chosen).run()
    finally:
        logging.disable(logging.NOTSET)


class World:
    """Everything of one run."""

    def __init__(self, seed: int, chosen: Scenario) -> None:
        self.seed, self.scenario = seed, chosen
        self.loop = SimLoop(_stream(seed))
        self.log = Log(self.loop)
        self.wires = Wires(seed, self.loop, self.log)
        self.broker = SimBroker(self.wires, chosen.partitions, chosen.idempotent)
        databases = {name: SimDatabase(name, self.wires) for name in DATABASES}
        processor = SimProcessor(self.wires, lambda *told: self.people.notify(*told))
        register, mail = SimRegister(self.wires), SimMailServer(self.wires)
        self.parts = Parts(self.wires, self.broker, databases, register, processor, mail)
        self.fleet = Fleet(self.parts, self.loop, self.wires.stream("fleet"))
        self.people = People(self.parts, self.fleet)
        self.faults = Faults(self.parts, self.fleet, self.people)
        databases["intake"].changed = self.people.saved

    def run(self) -> Run:
        """Live through it."""
        asyncio.set_event_loop(self.loop)
        kafka.BROKER.set(self.broker)
        try:
            found = self.loop.run_until_complete(self._live())
        except Endless as endless:
            found = [str(endless)]
        steps, seconds = self.loop.steps, self.loop.time()
        digest, lines = self.log.digest(), tuple(self.log.lines)
        self.fleet.closing = True
        self.loop.dispose()
        asyncio.set_event_loop(None)
        return Run(self.seed, self.scenario, tuple(found), lines, digest, seconds, steps)

    async def _live(self) -> list[str]:
        for plan in self.scenario.plans:
            if plan.known:
                self.parts.register.people[plan.name, "1990-05-17"] = (str(1_000_000 + plan.number), plan.debts)
        for name, kind in kinds().items():
            self.fleet.add(kind, self.scenario.replicas[name])
        playing = [asyncio.ensure_future(self.people.play(plan)) for plan in self.scenario.plans]
        for injection in self.scenario.injections:
            self.faults.plan(injection)
        last = max((one.at + one.length for one in self.scenario.injections), default=0.0)
        await asyncio.sleep(min(last, BUSY_SECONDS + 12))
        self.faults.heal()
        self.log.note("healed")
        rested = await self._rest()
        books = Books(self.scenario, self.parts, self.people, self.fleet)
        del playing
        return [*([] if rested else ["it never comes to rest: " + self._unrest()]), *violations(books)]

    async def _rest(self) -> bool:
        """Wait until nothing is left to do, moving the clock to whatever is due next; False if that never comes."""
        quiet_since = all_read_at = self.loop.time()
        until = quiet_since + LONGEST_REST
        while self.loop.time() < until:
            await asyncio.sleep(LOOK_SECONDS)
            self.parts.processor.tick()
            unrest = self._unrest()
            if unrest:
                quiet_since = self.loop.time()
            if not unrest.startswith("unread"):
                all_read_at = self.loop.time()
            if unrest == "timers":
                self._jump()
            elif self.loop.time() > all_read_at + SET_BACK_SECONDS:
                self._assign_again()
                all_read_at = self.loop.time()
            elif self.loop.time() > quiet_since + QUIET_SECONDS:
                return True
        return False

    def _unrest(self) -> str:
        """Return why it does not rest yet, `timers` if only a clock stands between."""
        if self.people.busy:
            return "somebody acts"
        if any(place.process is None or not place.process.alive or place.process.paused for place in self.fleet.places):
            return "a process is away"
        present = f"cluster-{self.broker.cluster}"
        if any(
            database.filling is None or database.filling.cluster != present
            for name, database in self.parts.databases.items()
            if name != "vault"
        ):
            return "the broker was replaced and somebody does not know"
        documents = [(one, d) for one in self._journals() for d in one.items()]
        now = self.wires.now()
        waiting = [subject for _, (subject, d) in documents if d["pending"] and parse_timestamp(d["updated_at"]) <= now]
        if waiting:
            return f"unpublished {waiting[:3]}"
        due = [work["id"] for _, (_, d) in documents for work in d["work"] if parse_timestamp(work["due_at"]) <= now]
        if due:
            return f"due {due[:3]}"
        lagging = self._lagging()
        if lagging:
            return "unread " + ", ".join(f"{name} {place}" for name, place in lagging[:3])
        return "timers" if any(d["work"] or d["pending"] for _, (_, d) in documents) else ""

    def _lagging(self) -> list[tuple[str, Place]]:
        broker = self.broker
        return [
            (name, place)
            for place, log in broker.logs.items()
            for name in READERS.get(place[0], ())
            if broker.group(name).offsets.get(place, 0) < len(log)
        ]

    def _assign_again(self) -> None:
        """Have groups read again what they dealt with and what a late commit calls unread, as the next restart would.

        A partition nobody dealt with stays unread: that is a violation.
        """
        for name in sorted({name for name, place in self._lagging() if self.broker.was_set_back(name, place)}):
            self.log.note(f"{name} reads again what a late commit set back")
            self.broker.plan(name)

    def _jump(self) -> None:
        """Move everybody's clock to the next timer."""
        moments = [work["due_at"] for one in self._journals() for d in one.values() for work in d["work"]]
        moments += [d["updated_at"] for one in self._journals() for d in one.values() if d["pending"]]
        ahead = parse_timestamp(min(moments)) - self.wires.now()
        if ahead > timedelta(seconds=2):
            self.wires.jump += ahead.total_seconds()
            self.log.note(f"clock moves {ahead.total_seconds():.1f} s")

    def _journals(self) -> list[dict[str, Document]]:
        databases = self.parts.databases.values()
        return [inside.documents for database in databases for inside in database.collections.values()]


def _stream(seed: int) -> random.Random:
    return random.Random(f"{seed}/processes")
