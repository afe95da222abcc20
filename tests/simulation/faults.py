"""What goes wrong, and when: drawn from the seed before the run, so that each injection can be left out by itself."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tests.simulation.broker import Place, SimBroker
from tests.simulation.people import People
from tests.simulation.plans import Plan
from tests.simulation.processes import Fleet, Running
from tests.simulation.wires import Server
from tests.simulation.wiring import Parts

T = TypeVar("T")

BUSY_SECONDS: Final = 30.0
"""Faults begin within this time, while dossiers are under way."""

SERVERS: Final = ("intake", "identity", "payments", "notifications", "analytics", "vault")
TOPICS: Final = ("intake.events", "identity.events", "payments.events", "notifications.events")
GROUPS: Final = ("intake", "identity", "identity-reuse", "payments", "notifications", "analytics")


@dataclass(frozen=True)
class Injection:
    """One thing that goes wrong at a time, for so long, to somebody, by so much."""

    at: float
    kind: str
    target: str
    length: float
    amount: float

    def told(self) -> str:
        """Say it in a line."""
        return f"{self.at:7.2f} s  {self.kind} {self.target} for {self.length:.1f} s ({self.amount:.2f})".rstrip()


@dataclass(frozen=True)
class Scenario:
    """Everything drawn from a seed: how large the installation is, who applies, what goes wrong."""

    partitions: int
    idempotent: bool
    replicas: dict[str, int]
    plans: tuple[Plan, ...]
    injections: tuple[Injection, ...]


def scenario(seed: int) -> Scenario:
    """Draw a scenario; one in twelve goes without any fault."""
    draw = random.Random(f"{seed}/scenario")
    names = ("intake-api", "intake-worker", "identity-worker", "identity-reuse", "payments-api", "payments-worker")
    replicas = {name: 1 + (draw.random() < 0.25) for name in (*names, "notifications-worker", "analytics-worker")}
    plans = tuple(_plan(draw, number) for number in range(draw.randint(1, 4)))
    count = 0 if draw.random() < 1 / 12 else draw.randint(2, 14)
    injections = sorted((_injection(draw, replicas) for _ in range(count)), key=lambda one: one.at)
    return Scenario(draw.randint(1, 4), draw.random() < 0.7, replicas, plans, tuple(injections))


ENDINGS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("residence-by-card", {}),
    ("residence-by-twint", {"method": "twint", "language": "fr"}),
    ("residence-by-bill", {"method": "invoice", "language": "it"}),
    ("bill-paid-twice", {"method": "invoice", "impatient": True}),
    ("consent-later", {"consents": False}),
    ("payment-slips", {"service": "payment-slips", "language": "en"}),
    ("debts-none", {"service": "debt-register-extract"}),
    ("debts-approved", {"service": "debt-register-extract", "debts": True, "method": "twint"}),
    ("debts-refused", {"service": "debt-register-extract", "debts": True, "review": "refused"}),
    ("identity-mismatch", {"known": False, "review": "refused"}),
    ("identity-by-hand", {"known": False}),
    ("consent-refused", {"consents": False, "agrees": False, "review": "refused"}),
    ("evidence-rejected", {"accepts": False, "review": "refused"}),
    ("card-declined", {"pages": ("decline",)}),
    ("checkout-abandoned", {"pages": ("abandon",)}),
    ("declined-and-abandoned", {"pages": ("decline", "abandon")}),
    ("two-pages", {"impatient": True}),
    ("withdrawn-at-once", {"withdraws_after": 0}),
    ("withdrawn", {"withdraws_after": 1}),
    ("withdrawn-in-mid-way", {"withdraws_after": 2, "consents": False}),
    ("withdrawn-after-paying", {"withdraws_after": 3}),
    ("deadline-missed", {"passive": True}),
)


def _plan(draw: random.Random, number: int) -> Plan:
    ending, changes = draw.choice(ENDINGS)
    start, twice = 1 + draw.random() * 18, draw.random() < 0.15
    return Plan(number, ending, start=start, twice=twice, **{"service": "residence-certificate", **changes})


def _injection(draw: random.Random, replicas: dict[str, int]) -> Injection:
    kind = draw.choice(KINDS)
    places = [f"{name}-{number}" for name, count in replicas.items() for number in range(count)]
    targets = _TARGETS.get(KIND_TARGETS.get(kind, ""), places)
    return Injection(
        at=1 + draw.random() * BUSY_SECONDS,
        kind=kind,
        target=draw.choice(targets) if kind in KIND_TARGETS else "",
        length=0.2 + draw.random() ** 2 * 20,
        amount=draw.random(),
    )


_TARGETS: Final = {"database": SERVERS, "topic": TOPICS, "group": GROUPS, "provider": ("register", "psp", "smtp")}

KIND_TARGETS: Final = {
    "kill": "process",
    "stop": "process",
    "pause": "process",
    "clock": "process",
    "database away": "database",
    "database loses answers": "database",
    "database applies in part": "database",
    "database mistakes": "database",
    "database slow": "database",
    "topic refuses": "topic",
    "rebalance": "group",
    "redelivery": "group",
    "provider away": "provider",
    "provider loses answers": "provider",
    "provider slow": "provider",
}
KINDS: Final = (
    *("kill",) * 6,
    *("stop", "pause", "pause", "clock"),
    *("database away", "database loses answers", "database loses answers", "database applies in part"),
    *("database mistakes", "database slow"),
    *("broker away", "broker loses answers", "topic refuses", "topic refuses", "rebalance", "redelivery", "redelivery"),
    "broker comes back empty",
    *("provider away", "provider loses answers", "provider loses answers", "provider slow"),
    *("register lies", "psp lies", "webhooks fail", "mailboxes defer"),
)


class Faults:
    """Lets injections happen to one run."""

    def __init__(self, parts: Parts, fleet: Fleet, people: People) -> None:
        self._parts = parts
        self._fleet = fleet
        self._people = people
        self._over = False

    def plan(self, injection: Injection) -> None:
        """Let an injection happen at its time."""
        self._parts.wires.later(injection.at, lambda: self._happen(injection))

    def heal(self) -> None:
        """End everything that is wrong, for good."""
        parts, self._over = self._parts, True
        for database in parts.databases.values():
            database.heal()
        for thing in (parts.broker.server, parts.register, parts.processor, parts.mail):
            thing.heal()
        parts.broker.refusing.clear()
        self._people.webhook_faults.clear()
        parts.wires.calm = True
        for place in self._fleet.places:
            if place.process is not None:
                place.process.clock_skew, place.process.dies_at = 0.0, None

    def _happen(self, one: Injection) -> None:
        if self._over:
            return
        self._parts.wires.log.note(f"inject {one.kind} {one.target}")
        first = one.kind.partition(" ")[0]
        if one.kind in _ON_PROCESSES:
            _ON_PROCESSES[one.kind](self, self._place(one.target), one)
        elif first == "database":
            self._database(one)
        elif first == "provider":
            self._serve_badly(self._provider(one.target).server, one)
        else:
            _OTHERS[one.kind](self, one)

    def _for_a_while(self, one: Injection, holder: Any, name: str, value: Any, good: Any) -> None:
        setattr(holder, name, value)
        self._parts.wires.later(one.length, lambda: setattr(holder, name, good))

    def _place(self, name: str) -> Running:
        return next(place for place in self._fleet.places if place.name == name)

    def _provider(self, name: str) -> Any:
        return {"register": self._parts.register, "psp": self._parts.processor, "smtp": self._parts.mail}[name]

    def _serve_badly(self, server: Server, one: Injection) -> None:
        how = one.kind.partition(" ")[2]
        if how == "away":
            self._for_a_while(one, server, "away", True, False)
        elif how == "loses answers":
            self._for_a_while(one, server, "loses", 0.1 + 0.7 * one.amount, 0.0)
        else:
            self._for_a_while(one, server, "slow", 40.0 * one.amount if how == "slow" else 0.0, 0.0)

    def _database(self, one: Injection) -> None:
        database = self._parts.databases[one.target]
        if one.kind == "database applies in part":
            self._for_a_while(one, database, "partial", 0.1 + 0.5 * one.amount, 0.0)
        elif one.kind == "database mistakes":
            self._for_a_while(one, database, "mistaken", 0.1 + 0.5 * one.amount, 0.0)
        elif one.kind == "database slow":
            self._for_a_while(one, database.server, "slow", 6.0 * one.amount, 0.0)
        else:
            self._serve_badly(database.server, one)

    def _kill(self, place: Running, one: Injection) -> None:
        if place.process is not None and place.process.alive:
            place.process.dies_at = place.process.steps + 1 + int(one.amount**2 * 300)

    def _stop(self, place: Running, one: Injection) -> None:
        place.stop()

    def _pause(self, place: Running, one: Injection) -> None:
        process = place.process
        if process is not None and process.alive and not process.paused:
            self._parts.wires.loop.pause(process, one.length)
            self._parts.broker.watch(process)

    def _clock(self, place: Running, one: Injection) -> None:
        if place.process is not None:
            skew = (one.amount - 0.4) * 120 if one.length < 12 else one.amount * 7200
            self._for_a_while(one, place.process, "clock_skew", skew, 0.0)

    def _broker(self, one: Injection) -> None:
        self._serve_badly(self._parts.broker.server, one)

    def _refuse(self, one: Injection) -> None:
        broker = self._parts.broker
        refused: set[Place] = {(one.target, n) for n in range(broker.partitions) if n == 0 or one.amount < 0.5}
        broker.refusing |= refused
        self._parts.wires.later(one.length, lambda: broker.refusing.difference_update(refused))

    def _rebalance(self, one: Injection) -> None:
        self._parts.broker.plan(one.target)

    def _redeliver(self, one: Injection) -> None:
        broker = self._parts.broker
        group = broker.group(one.target)
        for place, offset in group.offsets.items():
            group.offsets[place] = int(offset * one.amount) if one.length > 2 else max(0, offset - 3)
        broker.plan(one.target)

    def _empty(self, one: Injection) -> None:
        broker: SimBroker = self._parts.broker
        broker.empty()
        self._for_a_while(one, broker.server, "away", one.length < 5, False)

    def _lies(self, one: Injection) -> None:
        self._for_a_while(one, self._provider(one.kind.partition(" ")[0]), "lies", 0.2 + 0.6 * one.amount, 0.0)

    def _defer(self, one: Injection) -> None:
        self._for_a_while(one, self._parts.mail, "defers", 0.7, 0.0)
        if one.amount < 0.2:
            self._for_a_while(one, self._parts.mail, "denies", 0.3, 0.0)

    def _webhooks(self, one: Injection) -> None:
        faults = self._people.webhook_faults
        faults |= {"dropped": one.amount, "doubled": 1 - one.amount, "late": one.length * 2}
        self._parts.wires.later(one.length * 2, faults.clear)


_ON_PROCESSES: Final[dict[str, Callable[[Faults, Running, Injection], None]]] = {
    "kill": Faults._kill,
    "stop": Faults._stop,
    "pause": Faults._pause,
    "clock": Faults._clock,
}
_OTHERS: Final[dict[str, Callable[[Faults, Injection], None]]] = {
    "broker away": Faults._broker,
    "broker loses answers": Faults._broker,
    "topic refuses": Faults._refuse,
    "rebalance": Faults._rebalance,
    "redelivery": Faults._redeliver,
    "broker comes back empty": Faults._empty,
    "register lies": Faults._lies,
    "psp lies": Faults._lies,
    "webhooks fail": Faults._webhooks,
    "mailboxes defer": Faults._defer,
}
