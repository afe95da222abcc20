"""Every topic, who alone writes it and who reads it. Owns the map of the flow; opens no connection."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.contracts import agency, dossier, identity, notifications, payments  # noqa: F401  (registers the events)
from shared.contracts.event import Event, events

DAY_MS: Final = 86_400_000


@dataclass(frozen=True)
class Topic:
    """A topic: one writer (service), its readers (consumer groups), and how long it keeps events."""

    name: str
    writer: str
    readers: tuple[str, ...]
    aggregates: tuple[str, ...]
    retention_ms: int = 30 * DAY_MS
    compacted: bool = False


INTAKE_EVENTS: Final = "intake.events"
IDENTITY_EVENTS: Final = "identity.events"
PAYMENTS_EVENTS: Final = "payments.events"
NOTIFICATIONS_EVENTS: Final = "notifications.events"
KPIS: Final = "analytics.kpis"

GROUPS: Final = ("intake", "identity", "identity-reuse", "payments", "notifications", "analytics")

EVENT_TOPICS: Final = (
    Topic(
        INTAKE_EVENTS,
        "intake",
        ("identity", "identity-reuse", "payments", "notifications", "analytics"),
        ("dossier",),
    ),
    Topic(IDENTITY_EVENTS, "identity", ("intake", "analytics"), ("identity", "evidence")),
    Topic(PAYMENTS_EVENTS, "payments", ("intake", "analytics"), ("payment",)),
    Topic(NOTIFICATIONS_EVENTS, "notifications", ("intake", "analytics"), ("message",)),
)


def agency_topic(agency_id: str) -> str:
    """Return the topic that only this agency may read."""
    return f"agency.{agency_id}.events"


def dead_letter_topic(group: str) -> str:
    """Return the topic that holds what a consumer group could not handle."""
    return f"{group}.dlq"


def all_topics(agencies: Iterable[str]) -> tuple[Topic, ...]:
    """Return every topic of an installation with these agencies."""
    shared = tuple(Topic(agency_topic(a), "intake", (f"agency:{a}",), ("agency",)) for a in agencies)
    dead = tuple(Topic(dead_letter_topic(g), g, ("operators",), (), retention_ms=90 * DAY_MS) for g in GROUPS)
    kpis = Topic(KPIS, "analytics", ("analytics",), (), compacted=True)
    return (*EVENT_TOPICS, *shared, kpis, *dead)


def topic_of(event: type[Event]) -> str:
    """Return the one topic an event class is published on (`agency.*.events` for agency events)."""
    for topic in EVENT_TOPICS:
        if event.aggregate in topic.aggregates:
            return topic.name
    return agency_topic("*")


def events_of(aggregates: Iterable[str]) -> tuple[type[Event], ...]:
    """Return the event classes of these aggregates in the order of their declaration."""
    wanted = set(aggregates)
    return tuple(event for event in events().values() if event.aggregate in wanted)
