"""Where an event of a dossier must have left its mark: on a check or a fetch. Pure; compares nothing itself."""

from typing import Final, Literal

from shared.contracts.dossier import EvidenceRequested, IdentityCheckRequested, StepCancelled
from shared.contracts.envelope import Received
from shared.contracts.event import Event
from shared.contracts.topics import INTAKE_EVENTS
from shared.parity import Effect, EffectOf, Follower


def _effect_in(collection: str, kind: Literal["identity", "evidence"]) -> EffectOf:
    def effect_of(received: Received) -> Effect | None:
        if isinstance(received.event, StepCancelled):
            return Effect(collection, received.event.request) if received.event.kind == kind else None
        return Effect(collection, received.envelope.id)

    return effect_of


_CHECKS: Final[frozenset[type[Event]]] = frozenset((StepCancelled, IdentityCheckRequested))
_FETCHES: Final[frozenset[type[Event]]] = frozenset((StepCancelled, EvidenceRequested))

FOLLOWERS: Final = (
    Follower(
        "identity",
        (INTAKE_EVENTS,),
        _CHECKS,
        _effect_in("checks", "identity"),
    ),
    Follower(
        "identity-reuse",
        (INTAKE_EVENTS,),
        _FETCHES,
        _effect_in("evidence", "evidence"),
    ),
)
