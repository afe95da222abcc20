"""Prometheus instruments with a closed list of labels, so that no label grows without bound or names a person.

A service keeps its instruments in one place and updates them through functions named `record_…`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

PREFIX: Final = "dossierbus_"
LABELS: Final = frozenset(
    {
        "agency", "authority", "channel", "check", "collection", "event_type", "group", "kind", "kpi", "method",
        "operation", "outcome", "partition", "provider", "reason", "route", "service", "state", "status", "step",
        "topic", "window",
    }
)  # fmt: skip
"""Labels with a small, closed set of values."""

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets for work a person waits for: 0.1 s feels immediate, 1 s keeps the thought, 10 s loses the person."""


def counter(name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
    """A counter `dossierbus_…_total`; ValueError for a foreign prefix or a label that is not allowed."""
    return Counter(_named(name, labels), documentation, labels)


def gauge(name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
    """A gauge `dossierbus_…`; ValueError as for `counter`."""
    return Gauge(_named(name, labels), documentation, labels)


def histogram(
    name: str, documentation: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
) -> Histogram:
    """A histogram `dossierbus_…`; ValueError as for `counter`."""
    return Histogram(_named(name, labels), documentation, labels, buckets=buckets)


def _named(name: str, labels: Sequence[str]) -> str:
    if not name.startswith(PREFIX):
        raise ValueError(f"{name}: metric names start with {PREFIX}")
    refused = sorted(set(labels) - LABELS)
    if refused:
        raise ValueError(f"{name}: labels not on the list of shared.metrics: {', '.join(refused)}")
    return name
