"""From the samples of a soak to its figures and verdicts. Pure; every rule of a verdict is a constant here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import StatisticsError, linear_regression, mean
from typing import Any, Final

from deploy.local.roles import ROLES
from deploy.local.soak.rate import highest, longest_due, overrun
from deploy.local.soak.samples import Sample, held, steady
from shared.lookout import LOOK_SECONDS

BOUNDED: Final = "bounded"
GROWS: Final = "grows"
BY_DESIGN: Final = "per dossier, by design"
UNKNOWN: Final = "too few samples"

KEEPS_A_RECORD: Final = "analytics-worker"
RECORD_BYTES: Final = 10_000
"""What a dossier may take of the KPI worker, which keeps a record of each."""
NOISE_SHARE: Final = 0.03
NOISE_BYTES: Final = 3_000_000
"""What a process of Python gains and gives back by itself: 3 % of its memory, and 3 MB for small ones."""
FEWEST: Final = 6
LONGEST_LAG_SECONDS: Final = 30.0
LONGEST_DUE_SECONDS: Final = longest_due(LONGEST_LAG_SECONDS)
PREDICTED_MB: Final = {"mongo_data": 590, "topics": 440}
"""Per 10,000 dossiers: docs/price.md."""
TOLERANCE: Final = 0.25

RULES: Final = (
    f"memory: a role grows when the straight line through the steady part gains more than {NOISE_SHARE:.0%} of its "
    f"memory ({NOISE_BYTES / 1e6:.0f} MB at least) and its second half gains at least half as much a dossier; "
    f"{KEEPS_A_RECORD} may gain {RECORD_BYTES / 1000:.0f} kB a dossier",
    f"waiting: grows when the line gains more than half its mean (lag 2 s, due work 5 s, dossiers and journals 5 at "
    f"least); no event may wait longer than {LONGEST_LAG_SECONDS:.0f} s, no due work than {LONGEST_DUE_SECONDS:.0f} s",
    f"sizes: as predicted within {TOLERANCE:.0%}",
)


@dataclass(frozen=True)
class Memory:
    """A process over the steady part: bytes at its ends, bytes a dossier, kB a minute, percent of a core, verdict.

    `noise_per_dossier`: fewer bytes a dossier than this cannot be told from what comes and goes by itself.
    """

    rss_start: int
    rss_end: int
    bytes_per_dossier: int
    noise_per_dossier: int
    kb_per_minute: float
    cpu_percent: float
    verdict: str


@dataclass(frozen=True)
class Waiting:
    """Something that waits: the most of it, how much more a minute, and the verdict."""

    max: float
    per_minute: float
    verdict: str


Figure = Callable[[Sample], float]


def slope(samples: Sequence[Sample], across: Figure, up: Figure) -> float:
    """Return how much `up` gains for each one `across`, by the line of least squares; 0 where nothing moves across."""
    try:
        return linear_regression([across(one) for one in samples], [up(one) for one in samples]).slope
    except StatisticsError:
        return 0.0


def minutes(sample: Sample) -> float:
    """Return when it was taken."""
    return sample.seconds / 60


def ended(sample: Sample) -> float:
    """Return how many dossiers were done."""
    return float(sample.ended)


def memory(samples: Sequence[Sample], name: str) -> Memory:
    """Return what a process takes over these samples of the steady part, at least one."""

    def rss(sample: Sample) -> float:
        return float(sample.rss.get(name, 0))

    first, last = samples[0], samples[-1]
    a_dossier = slope(samples, ended, rss)
    later = slope(samples[len(samples) // 2 :], ended, rss)
    noise = max(NOISE_BYTES, NOISE_SHARE * rss(first))
    passed = last.seconds - first.seconds
    used = last.cpu.get(name, 0.0) - first.cpu.get(name, 0.0)
    return Memory(
        int(rss(first)),
        int(rss(last)),
        round(a_dossier),
        round(noise / max(1, last.ended - first.ended)),
        round(slope(samples, minutes, rss) / 1000, 1),
        round(100 * used / passed, 1) if passed else 0.0,
        _kept(samples, name, a_dossier, later, noise),
    )


def _kept(samples: Sequence[Sample], name: str, a_dossier: float, later: float, noise: float) -> str:
    if len(samples) < FEWEST:
        return UNKNOWN
    gained = a_dossier * (samples[-1].ended - samples[0].ended)
    if gained <= noise or later < a_dossier / 2:
        return BOUNDED if name != KEEPS_A_RECORD else BY_DESIGN
    return BY_DESIGN if name == KEEPS_A_RECORD and a_dossier <= RECORD_BYTES else GROWS


def waiting(samples: Sequence[Sample], figure: Figure, least: float, most: float = float("inf")) -> Waiting:
    """Return how something waits: it grows when the line gains more than half the mean and more than `least`.

    `most`: more than that at any moment is too much, growing or not.
    """
    values = [figure(sample) for sample in samples]
    a_minute = slope(samples, minutes, figure)
    gained = a_minute * (minutes(samples[-1]) - minutes(samples[0]))
    bounded = gained <= max(least, mean(values) / 2) and max(values) <= most
    told = UNKNOWN if len(samples) < FEWEST else BOUNDED if bounded else GROWS
    return Waiting(round(max(values), 2), round(a_minute, 3), told)


def queues(samples: Sequence[Sample]) -> dict[str, Waiting]:
    """Return everything that waits."""
    return {
        "lag_s": waiting(samples, lambda one: one.lag, 2, LONGEST_LAG_SECONDS),
        "due_work_s": waiting(samples, lambda one: one.due, LOOK_SECONDS, LONGEST_DUE_SECONDS),
        "under_way": waiting(samples, lambda one: one.under_way, 5),
        "relay_backlog": waiting(samples, lambda one: one.backlog, 5),
    }


def as_predicted(per_10000_mb: Mapping[str, float]) -> bool:
    """Whether data and topics take what docs/price.md says."""
    return all(abs(per_10000_mb[name] - wanted) <= TOLERANCE * wanted for name, wanted in PREDICTED_MB.items())


def account(samples: Sequence[Sample], failures: Sequence[str], stopped: str | None) -> dict[str, Any]:
    """Return the figures as JSON; sizes in bytes. `stopped`: why the soak ended before its time, None if it did not."""
    kept, found = held(samples), steady(samples)
    told: dict[str, Any] = {"stopped": stopped, "failures": list(failures), "rules": list(RULES)}
    if len(found) < 2:
        return {"ok": False, "minutes": 0.0, "rate": 0.0, "dossiers": 0, "roles": {}, **told}
    processes = {name: memory(found, name) for name in found[-1].rss}
    roles = {name: one for name, one in processes.items() if name in ROLES}
    queued = queues(found)
    sizes = {
        "journal": slope(found, ended, lambda one: one.journals),
        "mongo_data": slope(found, ended, lambda one: one.data),
        "topics": slope(found, ended, lambda one: one.topics),
    }
    per_10000 = {name: round(size / 100, 1) for name, size in sizes.items()}
    verdicts = {one.verdict for one in roles.values()} | {one.verdict for one in queued.values()}
    sought = [sample for sample in samples if sample.phase == "seeking"]
    return {
        "ok": verdicts <= {BOUNDED, BY_DESIGN} and as_predicted(per_10000) and not failures and stopped is None,
        "minutes": round(minutes(kept[-1]) - minutes(kept[0]), 2),
        "steady_minutes": round(minutes(found[-1]) - minutes(found[0]), 2),
        "rate": round(kept[-1].rate, 3),
        "sought": bool(sought),
        "highest_rate": round(highest(sought), 3),
        "limit": overrun(sought[-1]) if sought else None,
        "dossiers": kept[-1].ended - kept[0].ended,
        "ended_per_second": round((found[-1].ended - found[0].ended) / (found[-1].seconds - found[0].seconds), 3),
        "roles": {name: vars(one) for name, one in roles.items()},
        "others": {name: vars(one) for name, one in processes.items() if name not in ROLES},
        "lag_max_s": queued["lag_s"].max,
        "silent_max": max(len(sample.silent) for sample in found),
        "queues": {name: vars(one) for name, one in queued.items()},
        "journal_bytes_per_dossier": round(sizes["journal"]),
        "mongo_data_bytes_per_dossier": round(sizes["mongo_data"]),
        "topic_bytes_per_dossier": round(sizes["topics"]),
        "per_10000_mb": per_10000,
        "predicted_mb": PREDICTED_MB,
        "sizes_as_predicted": as_predicted(per_10000),
        **told,
    }
