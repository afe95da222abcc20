"""Drawing what happens in a run, before it runs: who applies, what goes wrong and when. Lets nothing happen itself.

Everything is drawn from the seed and listed, so that each injection can be left out by itself.
"""

import random
from dataclasses import dataclass
from typing import Any, Final

from tests.simulation.plans import Plan

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
    drawn = [_injection(draw, replicas) for _ in range(count)]
    injections = sorted([*drawn, *(_recounts(seed) if count else ())], key=lambda one: one.at)
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


def _recounts(seed: int) -> list[Injection]:
    """Draw when operators have the KPIs recounted. Drawn apart, so that nothing else of a seed depends on it."""
    draw = random.Random(f"{seed}/recounts")
    return [Injection(1 + draw.random() * BUSY_SECONDS, "recount", "", 0.2, 0.0) for _ in range(draw.choice((0, 1, 2)))]


_TARGETS: Final = {"database": SERVERS, "topic": TOPICS, "group": GROUPS, "provider": ("register", "psp", "smtp")}

KIND_TARGETS: Final = {
    "kill": "process",
    "storm": "process",
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
    *("storm", "storm"),
    *("stop", "pause", "pause", "clock"),
    *("database away", "database loses answers", "database loses answers", "database applies in part"),
    *("database mistakes", "database slow"),
    *("broker away", "broker loses answers", "topic refuses", "topic refuses", "rebalance", "redelivery", "redelivery"),
    "everything comes again",
    "broker comes back empty",
    *("provider away", "provider loses answers", "provider loses answers", "provider slow"),
    *("register lies", "psp lies", "webhooks fail", "mailboxes defer"),
)
