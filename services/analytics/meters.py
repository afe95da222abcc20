"""What Prometheus sees: the KPIs as gauges, drawn from the board when scraped, and the worker's own gauge.

Gauges, also for buckets: after a recovery a count may be told again, and a counter that falls means something else to
Prometheus. A state that is empty again shows 0 or goes, because nothing is kept between two scrapes.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.analytics import view
from services.analytics.domain import BUCKET_SECONDS, Totals
from shared.environment import parse_timestamp
from shared.metrics import gauge

_unsettled = gauge("dossierbus_analytics_unsettled_writes", "Changelog writes that the broker has not acknowledged.")


def record_unsettled(writes: int) -> None:
    """Note how many record changes are on their way to the changelog."""
    _unsettled.set(writes)


class KpiCollector(Collector):
    """Turns the totals of the moment into gauges. `totals` and `as_of` return None before anything is known."""

    def __init__(self, totals: Callable[[], Totals | None], as_of: Callable[[], str | None]) -> None:
        self._totals = totals
        self._as_of = as_of

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing ahead of time: the series follow the services that send dossiers."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges of this moment."""
        totals = self._totals()
        if totals is None:
            return
        if (as_of := self._as_of()) is not None:
            seconds = max(0.0, time.time() - parse_timestamp(as_of).timestamp())
            yield _family("age_seconds", "Age of the oldest partition's share.", (), [((), seconds)])
        yield _dossiers(totals)
        yield _family("submitted_dossiers", "Dossiers submitted.", (), [((), totals.get("submitted", 0))])
        yield _decided(totals)
        yield _paid_waiting(totals)
        yield _durations("decision", "decided", totals)
        yield _durations("closing", "closed", totals)
        yield _payments("payments", "Payments by state.", "count", totals)
        yield _payments("payments_rappen", "Amount of the payments by state, in rappen.", "rappen", totals)
        for section, title, states in _STATES:
            samples = [((state,), totals.get(f"{section}/{state}", 0)) for state in states]
            yield _family(section.replace("closed", "closed_dossiers"), title, ("state",), samples)


Sample = tuple[tuple[str, ...], float]

_STATES: Final = (
    ("closed", "Closed dossiers by ending.", view.ENDINGS),
    ("messages", "Messages by outcome.", view.MESSAGE_STATES),
    ("identity", "Identity checks by outcome.", view.IDENTITY_STATES),
    ("evidence", "Evidence fetches by outcome.", view.EVIDENCE_STATES),
    (
        "reuse",
        "Evidence accepted, rejected, and the fields that need not be typed.",
        ("accepted", "rejected", "fields"),
    ),
)


def _family(name: str, title: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"dossierbus_kpi_{name}", title, labels=labels)
    for values, amount in samples:
        family.add_metric(values, amount)
    return family


def _dossiers(totals: Totals) -> GaugeMetricFamily:
    found = view.by_service(totals, "dossiers").items()
    samples = [((service, status), count) for service, statuses in found for status, count in statuses.items()]
    return _family("dossiers", "Dossiers by service and public status.", ("service", "status"), samples)


def _paid_waiting(totals: Totals) -> GaugeMetricFamily:
    title = "Dossiers whose fee is paid and whose status still asks for it."
    services = view.by_service(totals, "dossiers")
    samples = [((service,), totals.get(f"paid_waiting/{service}", 0)) for service in services]
    return _family("paid_waiting_dossiers", title, ("service",), samples)


def _decided(totals: Totals) -> GaugeMetricFamily:
    samples = [
        ((outcome, kind), totals.get(f"decided/{outcome}/{kind}", 0))
        for outcome in ("granted", "refused")
        for kind in ("automatic", "by_hand")
    ]
    return _family("decided_dossiers", "Decided dossiers by outcome and how.", ("outcome", "kind"), samples)


def _payments(name: str, title: str, unit: str, totals: Totals) -> GaugeMetricFamily:
    samples = [((state,), totals.get(f"payments/{state}/{unit}", 0)) for state in view.PAYMENT_STATES]
    return _family(name, title, ("state",), samples)


def _durations(section: str, done: str, totals: Totals) -> GaugeMetricFamily:
    title = f"Dossiers {done} within so many seconds of submission (cumulative, for histogram_quantile)."
    return _family(f"{section}_seconds_dossiers", title, ("service", "le"), _cumulative(section, totals))


def _cumulative(section: str, totals: Totals) -> Iterator[Sample]:
    for service, named in view.by_service(totals, section).items():
        within = 0
        for upper, count in zip((*map(str, BUCKET_SECONDS), "+Inf"), view.bucket_counts(named), strict=True):
            within += count
            yield (service, upper), within
