"""From what was noted during a campaign to its figures. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.local.chaos.plan import Fault


@dataclass(frozen=True)
class Done:
    """A fault that was carried out: seconds of the campaign when it began and when its victim was well again.

    `well` is None when it did not become well in time.
    """

    fault: Fault
    began: float
    well: float | None


@dataclass(frozen=True)
class Canary:
    """A small dossier sent along: seconds of the campaign when its citizen pressed the button and when it was done."""

    pressed: float
    done: float
    submit_seconds: float
    status_seconds: float
    """The longest that one look at its status took."""


def recovery(done: Iterable[Done], canaries: Sequence[Canary]) -> dict[str, dict[str, float | int]]:
    """Per kind of fault: seconds until a dossier handed in after its beginning had run through all services."""
    found: dict[str, list[float]] = {}
    for one in done:
        later = [canary.done for canary in canaries if canary.pressed >= one.began]
        if later:
            found.setdefault(one.fault.label, []).append(min(later) - one.began)
    return {label: spread(values) for label, values in sorted(found.items())}


def readiness(done: Iterable[Done]) -> dict[str, dict[str, float | int]]:
    """Per kind of fault: seconds until its victim was well again; for a Kafka node, until all copies were in sync."""
    found: dict[str, list[float]] = {}
    for one in done:
        if one.well is not None:
            found.setdefault(one.fault.label, []).append(one.well - one.began)
    return {label: spread(values) for label, values in sorted(found.items())}


def pauses(canaries: Iterable[Canary]) -> dict[str, dict[str, float | int]]:
    """How long citizens waited for the answer to one press of a button, tries that failed included."""
    found = list(canaries)
    return {
        "submit": spread([one.submit_seconds for one in found]),
        "status": spread([one.status_seconds for one in found]),
    }


def longest_pause(waits: Mapping[str, Mapping[str, float | int]]) -> float:
    """The longest of all waits, in seconds."""
    return max((float(one["max"]) for one in waits.values()), default=0.0)


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """Count, median, 99th percentile and largest."""
    ordered = sorted(values)
    if not ordered:
        return {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0}

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)

    return {"count": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": round(ordered[-1], 2)}


def counted(done: Iterable[Done]) -> dict[str, int]:
    """How often each kind of fault was carried out."""
    found: dict[str, int] = {}
    for one in done:
        found[one.fault.kind] = found.get(one.fault.kind, 0) + 1
    return dict(sorted(found.items()))


def table(name: str, rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lines of a small table for a person."""
    head = f"  {name:<24}{'count':>7}{'p50':>8}{'max':>8}"
    return [head, *(f"    {label:<22}{row['count']:>7}{row['p50']:>8}{row['max']:>8}" for label, row in rows.items())]
