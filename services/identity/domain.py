"""Identity checks and evidence fetches: what is decided, and what follows. Pure; no I/O, no clock, no personal data.

Both live the same way: opened by a request, perhaps delayed, ended once. A cancellation that comes before its request
is recorded too, so that the late request opens nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeVar

from shared.contracts.dossier import EvidenceRequested, IdentityCheckRequested
from shared.contracts.event import Event
from shared.contracts.identity import (
    EvidenceDelayed,
    EvidenceFetchCancelled,
    EvidenceFetched,
    EvidenceFetchOpened,
    EvidenceUnavailable,
    IdentityCheckCancelled,
    IdentityCheckDelayed,
    IdentityCheckFailed,
    IdentityCheckOpened,
    IdentityConfirmed,
    IdentityMismatched,
)
from shared.contracts.topics import IDENTITY_EVENTS
from shared.environment import timestamp
from shared.journal import Aggregate, Decide, Recorded, State, Work

PATIENCE: Final = timedelta(hours=24)
"""How long a register may be away before a person must step in."""

CHECK_IDENTITY: Final = "check_identity"
FETCH_EVIDENCE: Final = "fetch_evidence"

Unavailability = Literal["not_found", "source_unavailable", "erased"]


class Request(State):
    """What both kinds have in common. `open` until the one outcome is recorded."""

    step: str
    open: bool = False
    give_up_at: str = ""
    delayed: bool = False
    changed_at: str


class Check(Request):
    """An identity check; `person` is sealed for the purpose person. `reasons` name attributes, never values."""

    outcome: Literal["open", "confirmed", "mismatched", "failed", "cancelled"] = "open"
    register_name: str = ""
    person: str = ""
    reasons: tuple[str, ...] = ()


class Evidence(Request):
    """An evidence fetch; `register_id` is sealed for the purpose person. The evidence itself is in the event only."""

    outcome: Literal["open", "fetched", "unavailable", "cancelled"] = "open"
    claim: str = ""
    register_id: str = ""
    fields: int = 0
    reason: str | None = None


R = TypeVar("R", bound=Request)


def open_check(request: IdentityCheckRequested, patience: timedelta) -> Decide[Check]:
    """Take a check up, unless it was taken up or cancelled before."""

    def decide(state: Check | None, now: datetime) -> Sequence[Event]:
        if state is not None:
            return ()
        until = timestamp(now + patience)
        name, person = request.register_name, request.person
        return (IdentityCheckOpened(step=request.step, register_name=name, person=person, give_up_at=until),)

    return decide


def confirm_identity(register_id: str) -> Decide[Check]:
    """The register knows the person under this id, sealed for the purpose person."""
    return _while_open(
        lambda check: IdentityConfirmed(step=check.step, register_id=register_id, register_name=check.register_name)
    )


def mismatch_identity(reasons: tuple[str, ...]) -> Decide[Check]:
    """The register contradicts the applicant."""
    return _while_open(lambda check: IdentityMismatched(step=check.step, reasons=reasons))


def delay_check(attempts: int) -> Decide[Check]:
    """The register does not answer; said once."""
    return _once(lambda check: IdentityCheckDelayed(step=check.step, attempts=attempts))


def fail_check(reason: str) -> Decide[Check]:
    """Give the check up."""
    return _while_open(lambda check: IdentityCheckFailed(step=check.step, reason=reason))


def cancel_check(step: str) -> Decide[Check]:
    """The dossier no longer wants the check, perhaps before it was taken up."""
    return _unless_ended(IdentityCheckCancelled(step=step))


def open_fetch(request: EvidenceRequested, patience: timedelta) -> Decide[Evidence]:
    """Take a fetch up, unless it was taken up or cancelled before."""

    def decide(state: Evidence | None, now: datetime) -> Sequence[Event]:
        if state is not None:
            return ()
        until = timestamp(now + patience)
        claim, register_id = request.claim, request.register_id
        return (EvidenceFetchOpened(step=request.step, claim=claim, register_id=register_id, give_up_at=until),)

    return decide


def deliver_evidence(source: str, fields: int, evidence: str) -> Decide[Evidence]:
    """The evidence is there, sealed for the purpose evidence, with so many filled fields."""
    return _while_open(
        lambda fetch: EvidenceFetched(
            step=fetch.step, claim=fetch.claim, source=source, fields=fields, evidence=evidence
        )
    )


def delay_fetch(attempts: int) -> Decide[Evidence]:
    """The source does not answer; said once."""
    return _once(lambda fetch: EvidenceDelayed(step=fetch.step, attempts=attempts))


def miss_evidence(reason: Unavailability) -> Decide[Evidence]:
    """The evidence cannot be had."""
    return _while_open(lambda fetch: EvidenceUnavailable(step=fetch.step, claim=fetch.claim, reason=reason))


def cancel_fetch(step: str) -> Decide[Evidence]:
    """The dossier no longer wants the evidence, perhaps before the fetch was taken up."""
    return _unless_ended(EvidenceFetchCancelled(step=step))


def evolve_check(state: Check | None, recorded: Recorded) -> Check:
    """Return the check after an event."""
    return _evolved(Check, state, recorded, _check_changes(recorded.event))


def evolve_fetch(state: Evidence | None, recorded: Recorded) -> Evidence:
    """Return the fetch after an event."""
    return _evolved(Evidence, state, recorded, _fetch_changes(recorded.event))


def plan_check(state: Check, recorded: Recorded) -> Sequence[Work]:
    """An opened check wants the register to be asked."""
    return _asked(IdentityCheckOpened, CHECK_IDENTITY, state, recorded)


def plan_fetch(state: Evidence, recorded: Recorded) -> Sequence[Work]:
    """An opened fetch wants the register to be asked."""
    return _asked(EvidenceFetchOpened, FETCH_EVIDENCE, state, recorded)


def _while_open(event: Callable[[R], Event]) -> Decide[R]:
    return lambda state, _now: (event(state),) if state is not None and state.open else ()


def _once(event: Callable[[R], Event]) -> Decide[R]:
    return lambda state, _now: (event(state),) if state is not None and state.open and not state.delayed else ()


def _unless_ended(event: Event) -> Decide[Any]:
    return lambda state, _now: (event,) if state is None or state.open else ()


def _asked(opened: type[Event], kind: str, state: Request, recorded: Recorded) -> Sequence[Work]:
    return (Work(kind, due_at=recorded.time, not_after=state.give_up_at),) if isinstance(recorded.event, opened) else ()


def _evolved(kind: type[R], state: R | None, recorded: Recorded, changes: dict[str, Any]) -> R:
    before = state.model_dump() if state is not None else {"step": recorded.event.model_dump()["step"]}
    return kind.model_validate({**before, **changes, "changed_at": recorded.time})


def _check_changes(event: Event) -> dict[str, Any]:
    match event:
        case IdentityCheckOpened(register_name=name, person=person, give_up_at=until):
            return {"open": True, "register_name": name, "person": person, "give_up_at": until}
        case IdentityCheckDelayed():
            return {"delayed": True}
        case IdentityConfirmed():
            return {"open": False, "outcome": "confirmed"}
        case IdentityMismatched(reasons=reasons):
            return {"open": False, "outcome": "mismatched", "reasons": reasons}
        case IdentityCheckFailed(reason=reason):
            return {"open": False, "outcome": "failed", "reasons": (reason,)}
        case IdentityCheckCancelled():
            return {"open": False, "outcome": "cancelled"}
    return {}


def _fetch_changes(event: Event) -> dict[str, Any]:
    match event:
        case EvidenceFetchOpened(claim=claim, register_id=register_id, give_up_at=until):
            return {"open": True, "claim": claim, "register_id": register_id, "give_up_at": until}
        case EvidenceDelayed():
            return {"delayed": True}
        case EvidenceFetched(fields=fields):
            return {"open": False, "outcome": "fetched", "fields": fields}
        case EvidenceUnavailable(reason=reason):
            return {"open": False, "outcome": "unavailable", "reason": reason}
        case EvidenceFetchCancelled():
            return {"open": False, "outcome": "cancelled"}
    return {}


CHECK: Final = Aggregate(
    service="identity",
    name="identity",
    topic=IDENTITY_EVENTS,
    schema=1,
    state=Check,
    evolve=evolve_check,
    plan=plan_check,
)
EVIDENCE: Final = Aggregate(
    service="identity",
    name="evidence",
    topic=IDENTITY_EVENTS,
    schema=1,
    state=Evidence,
    evolve=evolve_fetch,
    plan=plan_fetch,
)
