"""The process engine: what follows by itself from where a dossier stands. Pure; run anew after every event.

Each step kind is one function of (definition, step, dossier) that returns the next events of that step, or nothing
while it waits. New kinds of steps are new functions here and nothing else.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from services.intake.catalogue.model import MunicipalService, StepDefinition
from services.intake.public_status import status_changed
from services.intake.state import Dossier, Request, StepState
from shared.calendar import expected_by
from shared.contracts import dossier as event
from shared.contracts.dossier import Ending, StepKind
from shared.contracts.event import Event
from shared.environment import timestamp

Moment = tuple[datetime, float]
Follow = Callable[[MunicipalService, StepDefinition, Dossier, Moment], Sequence[Event]]


def follow(service: MunicipalService, dossier: Dossier, now: datetime, scale: float) -> Sequence[Event]:
    """Return the next events; nothing when the dossier waits for somebody or has ended."""
    if dossier.ending is not None:
        return ()
    ending = _ending(service, dossier)
    if ending is not None:
        return _end(service, dossier, ending, now)
    for step in service.steps:
        if events := _step(service, step, dossier, (now, scale)):
            return events
    return status_changed(service, dossier, now, scale)


def _ending(service: MunicipalService, dossier: Dossier) -> Ending | None:
    if dossier.withdrawn:
        return "withdrawn"
    if dossier.expired:
        return "expired"
    if dossier.decision == "refused":
        return "refused"
    return "completed" if all(_is_done(dossier, step.id) for step in service.steps) else None


def _end(service: MunicipalService, dossier: Dossier, ending: Ending, now: datetime) -> Sequence[Event]:
    """Close; what is still asked for elsewhere is no longer wanted, and a fee without its service goes back."""
    cancelled = [
        event.StepCancelled(step=request.step, kind=request.kind, request=request_id)
        for request_id, request in dossier.requests.items()
        if ending != "completed" and not request.cancelled and _is_live(request)
    ]
    return [*cancelled, *status_changed(service, dossier, now, 1.0, ending), event.DossierClosed(ending=ending)]


_OVER: Final = frozenset(
    {"confirmed", "mismatched", "failed", "unavailable", "fetched", "declined", "expired", "cancelled", "refunded"}
)


def _is_live(request: Request) -> bool:
    return request.outcome not in _OVER


def _is_done(dossier: Dossier, step_id: str) -> bool:
    step = dossier.steps.get(step_id)
    return step is not None and step.done


def _step(service: MunicipalService, step: StepDefinition, dossier: Dossier, moment: Moment) -> Sequence[Event]:
    if _is_done(dossier, step.id) or not all(_is_done(dossier, before) for before in step.after):
        return ()
    review = _reviewed(service, step, dossier)
    return _KINDS[step.kind](service, step, dossier, moment) if review is None else review


def _reviewed(service: MunicipalService, step: StepDefinition, dossier: Dossier) -> Sequence[Event] | None:
    """Return what a person's answer leads to, nothing while it is awaited, None if nobody was asked."""
    state = dossier.steps.get(step.id)
    if state is None or state.review is None:
        return None
    if state.review.outcome is None:
        return ()
    authority, reasons = state.review.authority, state.review.reasons
    refused = state.review.outcome == "refused"
    decision = event.DossierDecided(
        step=step.id,
        outcome="refused" if refused else "granted",
        automatic=False,
        authority=authority,
        reasons=reasons,
    )
    if refused:
        return (decision,)
    done = event.StepCompleted(step=step.id, kind=step.kind)
    return (decision, done) if step.kind == "decision" else (done,)


def _review(service: MunicipalService, step: StepDefinition, *reasons: str) -> Sequence[Event]:
    return (event.ReviewRequested(step=step.id, authority=service.authority_of(step), reasons=reasons),)


def _identity(service: MunicipalService, step: StepDefinition, dossier: Dossier, moment: Moment) -> Sequence[Event]:
    request = dossier.request_of(step.id)
    if request is None:
        return (
            event.IdentityCheckRequested(step=step.id, register_name=step.register_name or "", person=dossier.person),
        )
    if request.outcome == "confirmed":
        return (event.StepCompleted(step=step.id, kind="identity"),)
    if request.outcome in ("mismatched", "failed"):
        return _review(service, step, *request.reasons)
    return ()


def _evidence(service: MunicipalService, step: StepDefinition, dossier: Dossier, moment: Moment) -> Sequence[Event]:
    state = dossier.steps.get(step.id)
    if state is None:
        return (event.ConsentRequested(step=step.id, **_claim(step)),)
    if state.phase in ("consent_refused", "rejected"):
        return _review(service, step, "consent_refused" if state.phase == "consent_refused" else "evidence_rejected")
    if state.phase == "accepted":
        return (event.StepCompleted(step=step.id, kind="evidence"),)
    if state.phase != "consent_given":
        return ()
    return _fetch(service, step, dossier, state)


def _fetch(service: MunicipalService, step: StepDefinition, dossier: Dossier, state: StepState) -> Sequence[Event]:
    request = dossier.request_of(step.id)
    if request is not None:
        return _review(service, step, *request.reasons) if request.outcome == "unavailable" else ()
    register_id = next((known.sealed for known in dossier.requests.values() if known.kind == "identity"), None)
    if register_id is None:
        return _review(service, step, "not_in_register")
    consent = state.consent or ""
    return (event.EvidenceRequested(step=step.id, consent=consent, register_id=register_id, **_claim(step)),)


def _claim(step: StepDefinition) -> dict[str, str]:
    claim = step.evidence
    if claim is None:
        raise ValueError(f"step {step.id} has no evidence")
    return {"claim": claim.claim, "purpose": claim.purpose, "legal_basis": claim.legal_basis}


def _payment(service: MunicipalService, step: StepDefinition, dossier: Dossier, moment: Moment) -> Sequence[Event]:
    request = dossier.request_of(step.id)
    if request is None and service.fee is not None and service.fee.amount > 0:
        return (payment_requested(service, step, dossier, moment),)
    if request is None or request.outcome == "succeeded":
        return (event.StepCompleted(step=step.id, kind="payment"),)
    return _review(service, step, *request.reasons) if request.outcome == "failed" else ()


def payment_requested(
    service: MunicipalService, step: StepDefinition, dossier: Dossier, moment: Moment
) -> event.PaymentRequested:
    """Return the request for a (further) payment attempt by the method the applicant chose last."""
    state, fee = dossier.steps.get(step.id), service.fee
    if fee is None:
        raise ValueError(f"{service.id} has no fee")
    method = dossier.payment_method if dossier.payment_method in fee.methods else fee.methods[0]
    now, scale = moment
    return event.PaymentRequested(
        step=step.id,
        amount=fee.amount,
        currency=fee.currency,
        method=method,
        purpose=service.id,
        language=dossier.language,
        attempt=(state.attempts if state else 0) + 1,
        pay_by=timestamp(expected_by(now, service.deadlines.payment, service.canton, scale)),
    )


def _decision(service: MunicipalService, step: StepDefinition, dossier: Dossier, moment: Moment) -> Sequence[Event]:
    state = dossier.steps.get(step.id)
    if state is None:
        return (event.StepOpened(step=step.id, kind="decision"),)
    if state.rules == "granted":
        by_rule = not any(known.review for known in dossier.steps.values())
        granted = event.DossierDecided(
            step=step.id, outcome="granted", automatic=by_rule, authority=service.authority_of(step)
        )
        return (granted, event.StepCompleted(step=step.id, kind="decision"))
    return _review(service, step, *state.reasons) if state.rules == "review" else ()


def _document(service: MunicipalService, step: StepDefinition, dossier: Dossier, moment: Moment) -> Sequence[Event]:
    state = dossier.steps.get(step.id)
    if state is None:
        return (event.StepOpened(step=step.id, kind="document"),)
    if state.rules == "review":
        return _review(service, step, *state.reasons)
    return (event.StepCompleted(step=step.id, kind="document"),) if state.document else ()


_KINDS: Final[dict[StepKind, Follow]] = {
    "identity": _identity,
    "evidence": _evidence,
    "payment": _payment,
    "decision": _decision,
    "document": _document,
}
