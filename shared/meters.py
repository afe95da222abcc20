"""The instruments of the bus: relay, consumers, work loops, database. Each is updated through one function.

What is read from the database (`shared.lookout`) is told alike by every replica that runs the lookout, so that
queries take the `max by` its labels; what a process does itself is summed.
"""

import functools

from prometheus_client import Counter, Histogram

from shared.metrics import SECONDS, SIZES, age, counter, gauge, histogram
from shared.telemetry import exemplar

_backlog = gauge("dossierbus_relay_backlog", "Aggregates with unpublished events.", ["kind"])
_unpublished = age("dossierbus_relay_oldest_seconds", "Age of the oldest unpublished events.", ["kind"])
_published = counter("dossierbus_events_published_total", "Events acknowledged by the broker.", ["topic"])
_publishing = histogram("dossierbus_publish_seconds", "From sending a batch to its acknowledgement.", ["topic"])
_handled = counter("dossierbus_events_handled_total", "Events handled, by what became of them.", ["group", "outcome"])
_handling = histogram("dossierbus_event_handling_seconds", "From decoding an event to its save.", ["group"], SECONDS)
_lag = gauge("dossierbus_consumer_lag_events", "Events behind the end of the topic.", ["group", "topic", "partition"])
_late = age(
    "dossierbus_consumer_lag_seconds", "Age of the oldest event not dealt with.", ["group", "topic", "partition"]
)
_work = counter("dossierbus_work_total", "Work performed, by kind and outcome.", ["kind", "outcome"])
_waiting = gauge("dossierbus_work_waiting", "Work to do: due now, or later.", ["kind", "provider", "state"])
_due = age("dossierbus_work_oldest_due_seconds", "For how long the oldest work has been due.", ["kind", "provider"])
_working = histogram("dossierbus_work_seconds", "One attempt at a piece of work.", ["kind"], SECONDS)
_circuit = gauge("dossierbus_circuit_open", "1 while calls to a provider are held back.", ["provider"])
_broken = age("dossierbus_circuit_open_seconds", "For how long a provider has not been reachable.", ["provider"])
_letters = gauge("dossierbus_dead_letters", "Letters of dossiers set aside, until redriven.", ["group", "reason"])
_aside = gauge("dossierbus_dead_letter_dossiers", "Dossiers whose events are set aside.", ["group", "reason"])
_oldest = age(
    "dossierbus_dead_letter_oldest_seconds", "For how long the first has been set aside.", ["group", "reason"]
)
_groups = histogram("dossierbus_group_commit_size", "Writes that share one bulk write.", ["collection"], SIZES)
_database = histogram("dossierbus_mongo_seconds", "Round trips of journals.", ["collection", "operation"], SECONDS)
_not_queued = counter(
    "dossierbus_mongo_refused_total", "Reads and writes not queued: too many wait.", ["collection", "operation"]
)
_drift = gauge("dossierbus_parity_drift", "Differences that the last comparison of the books found.", ["kind"])


def record_relay_backlog(kind: str, aggregates: int, since: float | None) -> None:
    """Note how many aggregates of a kind have unpublished events, and since when (epoch seconds) the oldest."""
    _backlog.labels(kind=kind).set(aggregates)
    _unpublished.set([kind], since)


def record_published(topic: str, events: int, seconds: float) -> None:
    """Count acknowledged events and how long their batch took."""
    _published.labels(topic=topic).inc(events)
    _publishing.labels(topic=topic).observe(seconds, exemplar())


def record_handled(group: str, outcome: str, seconds: float, traceparent: str | None = None) -> None:
    """Count a consumed event of a trace: handled, skipped (unknown type) or dead_lettered."""
    handled, handling = _handling_of(group, outcome)
    handled.inc()
    handling.observe(seconds, exemplar(traceparent))


@functools.lru_cache(maxsize=256)
def _handling_of(group: str, outcome: str) -> tuple[Counter, Histogram]:
    """Both lists of labels are short, and looking a series up takes longer than counting."""
    return _handled.labels(group=group, outcome=outcome), _handling.labels(group=group)


def record_lag(group: str, topic: str, partition: int, events: int, since: float | None) -> None:
    """Note how far a group is behind on a partition, and from when (epoch seconds) its oldest unhandled event is."""
    _lag.labels(group=group, topic=topic, partition=str(partition)).set(events)
    _late.set([group, topic, str(partition)], since)


def forget_lag(group: str, topic: str, partition: int) -> None:
    """Show no lag of a partition that another member reads now."""
    _late.remove([group, topic, str(partition)])
    _lag.remove_by_labels({"group": group, "topic": topic, "partition": str(partition)})


def record_work(kind: str, outcome: str) -> None:
    """Count a piece of work: done, again, too_old, failed, lost or given_back."""
    _work.labels(kind=kind, outcome=outcome).inc()


def record_attempt(kind: str, seconds: float) -> None:
    """Note how long an attempt at a piece of work took, whatever came of it."""
    _working.labels(kind=kind).observe(seconds, exemplar())


def record_work_backlog(kind: str, provider: str, due: int, later: int, since: float | None) -> None:
    """Note how much work of a kind is due or comes later, and since when (epoch seconds) the oldest is due.

    `provider`: whom the work calls, or `none`.
    """
    _waiting.labels(kind=kind, provider=provider, state="due").set(due)
    _waiting.labels(kind=kind, provider=provider, state="later").set(later)
    _due.set([kind, provider], since)


def record_circuit(provider: str, *, is_open: bool) -> None:
    """Note whether calls to a provider are held back."""
    _circuit.labels(provider=provider).set(int(is_open))
    if is_open:
        _broken.start([provider])
    else:
        _broken.set([provider], None)


def record_dead_letters(group: str, reason: str, dossiers: int, letters: int, since: float | None) -> None:
    """Note what a group has set aside; `reason`: refused (by our own rule) or failed (a program's fault)."""
    _aside.labels(group=group, reason=reason).set(dossiers)
    _letters.labels(group=group, reason=reason).set(letters)
    _oldest.set([group, reason], since)


def record_group_commit(collection: str, writes: int, seconds: float) -> None:
    """Note how many writes shared a bulk write and how long it took to be durable."""
    _groups.labels(collection=collection).observe(writes)
    _database.labels(collection=collection, operation="write").observe(seconds)


def record_group_read(collection: str, seconds: float) -> None:
    """Note how long a grouped read took."""
    _database.labels(collection=collection, operation="read").observe(seconds)


def record_not_queued(collection: str, operation: str) -> None:
    """Count a read or write that was refused because too many wait for the database already."""
    _not_queued.labels(collection=collection, operation=operation).inc()


def record_parity(kind: str, drifts: int) -> None:
    """Note how many differences of a kind the last comparison found; 0 where another replica compares."""
    _drift.labels(kind=kind).set(drifts)
