"""Where an event of another service must have left its mark: on its dossier. Pure; compares nothing itself."""

from typing import Any, Final

from services.intake.handlers import subscriptions
from shared.contracts.envelope import Received
from shared.contracts.event import Event
from shared.contracts.topics import IDENTITY_EVENTS, NOTIFICATIONS_EVENTS, PAYMENTS_EVENTS
from shared.journal import Journal
from shared.parity import Effect, Follower

READ: Final = (IDENTITY_EVENTS, PAYMENTS_EVENTS, NOTIFICATIONS_EVENTS)


def effect_of(received: Received) -> Effect:
    """Every event that intake takes in is recorded on the dossier it belongs to."""
    return Effect("dossiers", received.envelope.dossier)


def followers(dossiers: Journal[Any]) -> tuple[Follower, ...]:
    """Return intake's consumer group with the events it takes in."""
    known: frozenset[type[Event]] = frozenset(subscriptions(dossiers))
    return (Follower("intake", READ, known, effect_of),)
