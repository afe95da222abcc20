"""Where an event of a dossier must have left its mark: as a message. Pure; compares nothing itself."""

from typing import Final

from shared.contracts.dossier import DossierStatusChanged
from shared.contracts.envelope import Received
from shared.contracts.topics import INTAKE_EVENTS
from shared.parity import Effect, Follower


def effect_of(received: Received) -> Effect:
    """Every status is one message, named after the event."""
    return Effect("messages", received.envelope.id)


FOLLOWERS: Final = (Follower("notifications", (INTAKE_EVENTS,), frozenset({DossierStatusChanged}), effect_of),)
