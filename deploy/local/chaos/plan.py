"""What a campaign does to whom, drawn from a seed. Pure: touches no process and knows no clock."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, get_args

from deploy.local.ports import DETOUR_OFFSETS
from deploy.local.roles import ROLES

Kind = Literal["kill", "freeze", "restart", "step_down", "replica", "delay", "cut", "half_open"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
BROKERS: Final = ("broker", "broker-2", "broker-3")
DATABASES: Final = ("mongo", "mongo-2", "mongo-3")
PROCESSES: Final = (*ROLES, *BROKERS, *DATABASES)
WORKERS: Final = tuple(name for name in ROLES if not name.endswith("-api"))
LINKS: Final = tuple(name for name in DETOUR_OFFSETS if name != "proxy")

FIRST, LAST = 0.03, 0.92
_BESIDE: Final[dict[Kind, tuple[int, tuple[str, ...], tuple[float, float]]]] = {
    "freeze": (5, PROCESSES, (1.0, 8.0)),
    "restart": (5, PROCESSES, (0.0, 0.0)),
    "step_down": (10, ("mongo",), (0.0, 0.0)),
    "replica": (10, WORKERS, (4.0, 20.0)),
    "delay": (10, LINKS, (3.0, 10.0)),
    "cut": (10, LINKS, (1.0, 6.0)),
    "half_open": (10, LINKS, (2.0, 8.0)),
}
"""Beside every so many kills one of these: its victims, and between how many seconds it lasts."""


@dataclass(frozen=True)
class Fault:
    """One disturbance. `at`: after which share of all dossiers it begins; `seconds`: how long it is kept up."""

    number: int
    kind: Kind
    victim: str
    at: float
    seconds: float

    @property
    def lane(self) -> str:
        """Faults of one lane follow each other: one node of a cluster at a time, one thing at a time to a process."""
        if self.kind == "replica":
            return f"{self.victim}+2"
        return next((group for group in ("broker", "mongo") if self.victim.startswith(group)), self.victim)

    @property
    def label(self) -> str:
        """What figures are kept by: the kind and what it was done to, as in `kill_kafka`."""
        groups = {"broker": "kafka", "mongo": "mongo"}
        other = "role" if self.victim in ROLES and self.kind not in ("delay", "cut", "half_open") else "provider"
        return f"{self.kind}_{groups.get(self.lane, other)}"


def plan(kills: int, seed: int) -> tuple[Fault, ...]:
    """So many kills and, in proportion, the other kinds, at moments drawn evenly so that some overlap."""
    drawn = random.Random(seed)  # noqa: S311 - an order of faults, no secret
    wanted: list[tuple[Kind, str, float]] = [("kill", victim, 0.0) for victim in _spread(drawn, PROCESSES, kills)]
    for kind, (every, victims, (shortest, longest)) in _BESIDE.items():
        chosen = _spread(drawn, victims, -(-kills // every))
        wanted += [(kind, victim, round(drawn.uniform(shortest, longest), 2)) for victim in chosen]
    drawn.shuffle(wanted)
    moments = sorted(drawn.uniform(FIRST, LAST) for _ in wanted)
    return tuple(
        Fault(number, kind, victim, round(at, 4), seconds)
        for number, (at, (kind, victim, seconds)) in enumerate(zip(moments, wanted, strict=True))
    )


def _spread(drawn: random.Random, victims: Sequence[str], count: int) -> list[str]:
    """So many victims, each as often as the others but for one."""

    def rounds() -> Iterator[str]:
        while True:
            yield from drawn.sample(victims, len(victims))

    return list(islice(rounds(), count))
