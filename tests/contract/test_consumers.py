"""A test per consumer of each message: the handlers that the roles really subscribe accept the golden event.

Handlers, journals and process are the real ones; only the stores are in memory.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.analytics.domain import relevant_events
from services.analytics.handlers import Running, on_event
from shared.contracts.envelope import Received
from shared.contracts.event import Event
from shared.contracts.flow import CONSUMERS
from shared.contracts.topics import EVENT_TOPICS, GROUPS, topic_of
from shared.journal.model import Cause
from shared.kafka.client import partition_of
from shared.testing.environment import FakeEnvironment
from shared.testing.store import MemoryJournalStore
from tests.contract.goldens import BEGINNING, DOSSIER, golden
from tests.contract.roles import NotingBus, service, wired

ROLES = {
    "intake": ("intake", "worker"),
    "identity": ("identity", "worker"),
    "identity-reuse": ("identity", "reuse"),
    "payments": ("payments", "worker"),
    "notifications": ("notifications", "worker"),
}
CANCELLED: dict[str, dict[str, Any]] = {
    "identity": {"kind": "identity", "request": f"{DOSSIER}:3", "step": "identity"},
    "identity-reuse": {"kind": "evidence", "request": f"{DOSSIER}:4", "step": "residence"},
    "payments": {"kind": "payment", "request": f"{DOSSIER}:5", "step": "fee"},
}
OPENING = {
    "identity": "IdentityCheckRequested",
    "identity-reuse": "EvidenceRequested",
    "payments": "PaymentRequested",
}
PAIRS = [(group, event) for event, groups in CONSUMERS.items() for group in groups if group in ROLES]


@asynccontextmanager
async def _role(group: str) -> AsyncIterator[NotingBus]:
    name, role = ROLES[group]
    async with wired(service(name), role) as bus:
        yield bus


async def _prepared(bus: NotingBus, group: str, event: type[Event]) -> Received:
    """Bring a role to where the event makes sense; return the event."""
    if group == "intake":
        beginning = [golden(name).received().event for name in BEGINNING]
        await bus.journals["dossiers"].record(DOSSIER, lambda *_: beginning, Cause("golden"), creates=True)
    if event.__name__ != "StepCancelled":
        return golden(event.__name__).received()
    opening = golden(OPENING[group]).received()
    await bus.subscriptions[group][1][type(opening.event)](opening)
    return golden("StepCancelled").received(**CANCELLED[group])


def _heads(bus: NotingBus) -> dict[str, int]:
    found = {}
    for store in bus.stores.values():
        assert isinstance(store, MemoryJournalStore)
        found.update({subject: document["head"] for subject, document in store.documents.items()})
    return found


@pytest.mark.parametrize(("group", "event"), PAIRS, ids=lambda value: getattr(value, "__name__", value))
async def test_consumer_accepts_the_golden_event(group: str, event: type[Event]) -> None:
    """The subscribed handler records something for the event, and nothing when it comes a second time."""
    async with _role(group) as bus:
        received = await _prepared(bus, group, event)
        handler, before = bus.subscriptions[group][1][event], _heads(bus)
        await handler(received)
        after = _heads(bus)
        assert sum(after.values()) > sum(before.values())
        await handler(received)
        assert _heads(bus) == after


@pytest.mark.parametrize("event", relevant_events(), ids=lambda event: event.__name__)
async def test_analytics_accepts_the_golden_event(event: type[Event]) -> None:
    """The counting handler takes the event into its dossier's record, once."""
    table: dict[bytes, bytes] = {}
    running = Running(6, "worker", FakeEnvironment())
    handler = on_event(table, running, lambda: partition_of(DOSSIER.encode(), 6))
    await handler(golden(event.__name__).received())
    counted = dict(table)
    assert list(counted) == [DOSSIER.encode()]
    await handler(golden(event.__name__).received())
    assert table == counted


@pytest.mark.parametrize("group", ROLES)
async def test_declared_consumers_are_the_subscribed_ones(group: str) -> None:
    """What the documentation says of a group's events is what its role subscribes to, on the topics it reads."""
    async with _role(group) as bus:
        topics, subscriptions = bus.subscriptions[group]
        declared = {event for event, groups in CONSUMERS.items() if group in groups}
        assert set(subscriptions) == declared
        assert {topic_of(event) for event in subscriptions} <= set(topics)
        assert set(topics) == {topic.name for topic in EVENT_TOPICS if group in topic.readers}


def test_declared_consumers_of_analytics_are_the_counted_ones() -> None:
    """Analytics is said to consume exactly the events that a KPI depends on."""
    assert {event for event, groups in CONSUMERS.items() if "analytics" in groups} == set(relevant_events())


def test_every_group_is_a_role() -> None:
    """Each consumer group is read by exactly one role, and each declared consumer is a group."""
    assert {*ROLES, "analytics"} == set(GROUPS)
    assert {group for groups in CONSUMERS.values() for group in groups} <= set(GROUPS)
