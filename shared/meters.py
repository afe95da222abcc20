"""The instruments of the bus: relay, consumers, work loops. Each is updated through one function, nowhere else."""

from shared.metrics import SECONDS, counter, gauge, histogram

_backlog = gauge("dossierbus_relay_backlog", "Aggregates with unpublished events, as the sweeper saw them.", ["kind"])
_published = counter("dossierbus_events_published_total", "Events acknowledged by the broker.", ["topic"])
_handled = counter("dossierbus_events_handled_total", "Events handled, by what became of them.", ["group", "outcome"])
_handling = histogram("dossierbus_event_handling_seconds", "From decoding an event to its save.", ["group"], SECONDS)
_lag = gauge("dossierbus_consumer_lag_events", "Events behind the end of the topic.", ["group", "topic", "partition"])
_work = counter("dossierbus_work_total", "Work performed, by kind and outcome.", ["kind", "outcome"])
_circuit = gauge("dossierbus_circuit_open", "1 while calls to a provider are held back.", ["provider"])


def record_relay_backlog(kind: str, aggregates: int) -> None:
    """Note how many aggregates of a kind wait for the sweeper."""
    _backlog.labels(kind=kind).set(aggregates)


def record_published(topic: str, events: int) -> None:
    """Count acknowledged events."""
    _published.labels(topic=topic).inc(events)


def record_handled(group: str, outcome: str, seconds: float) -> None:
    """Count a consumed event: handled, skipped (unknown type) or dead_lettered."""
    _handled.labels(group=group, outcome=outcome).inc()
    _handling.labels(group=group).observe(seconds)


def record_lag(group: str, topic: str, partition: int, events: int) -> None:
    """Note how far a group is behind on a partition."""
    _lag.labels(group=group, topic=topic, partition=str(partition)).set(events)


def record_work(kind: str, outcome: str) -> None:
    """Count a piece of work: done, again, too_old, failed, lost or given_back."""
    _work.labels(kind=kind, outcome=outcome).inc()


def record_circuit(provider: str, *, is_open: bool) -> None:
    """Note whether calls to a provider are held back."""
    _circuit.labels(provider=provider).set(int(is_open))
