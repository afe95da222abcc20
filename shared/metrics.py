"""Prometheus instruments with a closed list of labels, so that no label grows without bound or names a person.

A service keeps its instruments in one place and updates them through functions named `record_…`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

# One more series per counter and histogram that tells when the process made it: nobody asks for that.
disable_created_metrics()  # type: ignore[no-untyped-call]

PREFIX: Final = "dossierbus_"
LABELS: Final = frozenset(
    {
        "agency", "authority", "channel", "check", "collection", "event_type", "group", "kind", "kpi", "method",
        "operation", "outcome", "partition", "provider", "reason", "route", "service", "state", "status", "step",
        "topic", "waiting_for", "window",
    }
)  # fmt: skip
"""Labels with a small, closed set of values."""

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets for work a person waits for: 0.1 s feels immediate, 1 s keeps the thought, 10 s loses the person."""

SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200)
"""Buckets for how many things go together."""


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


class Age(Collector):
    """Gauges of the seconds since a moment, reckoned when scraped: an age grows also while nobody tells anything.

    Moments are seconds since the epoch; None means that there is nothing of age, which shows as 0.
    """

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self._name = _named(name, labels)
        self._documentation = documentation
        self._labels = tuple(labels)
        self._since: dict[tuple[str, ...], float | None] = {}
        REGISTRY.register(self)

    def set(self, values: Sequence[str], since: float | None) -> None:
        """Note since when; `values` of the labels in their order."""
        self._since[tuple(values)] = since

    def start(self, values: Sequence[str]) -> None:
        """Note that it began now, unless it has begun before."""
        if self._since.get(tuple(values)) is None:
            self.set(values, time.time())

    def remove(self, values: Sequence[str]) -> None:
        """Show these no more."""
        self._since.pop(tuple(values), None)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the name without values, so that no second instrument takes it."""
        return [GaugeMetricFamily(self._name, self._documentation, labels=self._labels)]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the ages of this moment."""
        family = GaugeMetricFamily(self._name, self._documentation, labels=self._labels)
        now = time.time()
        for values, since in self._since.items():
            family.add_metric(values, 0.0 if since is None else max(0.0, now - since))
        yield family


def age(name: str, documentation: str, labels: Sequence[str] = ()) -> Age:
    """Ages `dossierbus_…_seconds`; ValueError as for `counter`."""
    return Age(name, documentation, labels)


def _named(name: str, labels: Sequence[str]) -> str:
    if not name.startswith(PREFIX):
        raise ValueError(f"{name}: metric names start with {PREFIX}")
    refused = sorted(set(labels) - LABELS)
    if refused:
        raise ValueError(f"{name}: labels not on the list of shared.metrics: {', '.join(refused)}")
    return name
