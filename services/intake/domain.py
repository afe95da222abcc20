"""What can be asked of a dossier, and when. Pure: every function returns a `decide` of (state, now) -> events.

Facts told by other services are recorded whether or not a step waits for them; what a person asks is refused when it
makes no sense now. What follows by itself is `process.follow`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.intake.catalogue.model import MunicipalService
from services.intake.process import follow, payment_requested
from services.intake.sharing import share
from services.intake.state import Dossier, evolve
from shared.contracts import dossier as event
from shared.contracts.dossier import PaymentMethod, RequestOutcome
from shared.contracts.event import Event
from shared.contracts.topics import INTAKE_EVENTS
from shared.environment import timestamp
from shared.errors import Permanent
from shared.journal import Aggregate, Decide, Recorded, Share, Work

SCHEMA: Final = 2
EVALUATE: Final = "evaluate_rules"
ISSUE: Final = "issue_document"
DEADLINE: Final = "applicant_deadline"

Catalogue = Mapping[tuple[str, int], MunicipalService]
Decision = Decide[Dossier]


class NotPossible(Permanent):
    """The dossier's state does not allow what was asked; `code` says why, for the caller's language."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ServiceMissing(NotPossible):
    """The catalogue lacks the version a dossier was opened with: nothing follows until it is put back."""

    def __init__(self, dossier: Dossier) -> None:
        super().__init__("service_missing")
        self.args = (f"the catalogue lacks {dossier.service} version {dossier.service_version}",)


@dataclass(frozen=True, slots=True)
class Told:
    """What another service told about one of the dossier's requests."""

    request: str
    reported_by: str
    outcome: RequestOutcome
    reasons: tuple[str, ...] = ()
    sealed: str | None = None
    fields: int = 0
    url: str | None = None
    reference: str | None = None


def dossier_aggregate(catalogue: Catalogue, *, public_url: str, deadline_scale: float) -> Aggregate[Dossier]:
    """Return how a dossier lives, given the municipal services; of an open one that has none, `ServiceMissing`."""

    def react(dossier: Dossier, now: datetime) -> Sequence[Event]:
        # What still comes for a dossier that has ended is recorded, whatever became of its service.
        return () if dossier.ending else follow(service_of(catalogue, dossier), dossier, now, deadline_scale)

    def shares(dossier: Dossier, recorded: Recorded) -> Sequence[Share]:
        service = catalogue.get((dossier.service, dossier.service_version))
        return share(service, dossier, recorded, public_url) if service else ()

    return Aggregate(
        service="intake",
        name="dossier",
        topic=INTAKE_EVENTS,
        schema=SCHEMA,
        state=Dossier,
        evolve=evolve,
        react=react,
        plan=plan,
        share=shares,
    )


def service_of(catalogue: Catalogue, dossier: Dossier) -> MunicipalService:
    """Return the version of the municipal service that a dossier was opened with. Raises `ServiceMissing`."""
    service = catalogue.get((dossier.service, dossier.service_version))
    if service is None:
        raise ServiceMissing(dossier)
    return service


def plan(dossier: Dossier, recorded: Recorded) -> Sequence[Work]:
    """Return the work an event wants: apply rules, make a document, ring when the applicant's time is over."""
    fact = recorded.event
    if isinstance(fact, event.StepOpened):
        return (Work(EVALUATE if fact.kind == "decision" else ISSUE, recorded.time),)
    if isinstance(fact, event.DossierStatusChanged) and fact.waiting_for == "applicant" and fact.expected_by:
        return (Work(DEADLINE, fact.expected_by),)
    return ()


def submit(submitted: event.DossierSubmitted, consents: Sequence[event.ConsentGiven]) -> Decision:
    """Take a new dossier in; a second submission under the same id is the same one."""

    def decide(dossier: Dossier | None, _now: datetime) -> Sequence[Event]:
        return () if dossier else (submitted, *consents)

    return decide


def record_outcome(told: Told) -> Decision:
    """Record what another service told, also when nobody waits for it any more."""

    def decide(dossier: Dossier | None, _now: datetime) -> Sequence[Event]:
        request = dossier.requests.get(told.request) if dossier else None
        if request is None:
            raise Permanent("an outcome for a request this dossier never made")
        return (
            event.OutcomeRecorded(
                step=request.step,
                request=told.request,
                reported_by=told.reported_by,
                outcome=told.outcome,
                reasons=told.reasons,
                sealed=told.sealed,
                fields=told.fields,
                url=told.url,
                reference=told.reference,
            ),
        )

    return decide


def record_notice(message: str, outcome: str) -> Decision:
    """Record what became of a message."""
    return lambda _dossier, _now: (event.ApplicantNotified.model_validate({"message": message, "outcome": outcome}),)


def answer_consent(service: Callable[[Dossier], MunicipalService], step_id: str, *, granted: bool) -> Decision:
    """Give or refuse the consent that an evidence step waits for. Raises `NotPossible`."""

    def decide(dossier: Dossier | None, _now: datetime) -> Sequence[Event]:
        alive = _alive(dossier)
        step, definition = alive.steps.get(step_id), service(alive).step(step_id)
        if step is None or definition is None or definition.evidence is None or step.phase != "consent_asked":
            raise NotPossible("no_consent_awaited")
        claim = definition.evidence
        if not granted:
            return (event.ConsentRefused(step=step_id, claim=claim.claim),)
        return (
            event.ConsentGiven(step=step_id, claim=claim.claim, purpose=claim.purpose, legal_basis=claim.legal_basis),
        )

    return decide


def confirm_evidence(service: Callable[[Dossier], MunicipalService], step_id: str, *, accepted: bool) -> Decision:
    """Let fetched evidence be used, or not, after its preview. Raises `NotPossible`."""

    def decide(dossier: Dossier | None, _now: datetime) -> Sequence[Event]:
        alive = _alive(dossier)
        step, definition, request = alive.steps.get(step_id), service(alive).step(step_id), alive.request_of(step_id)
        waits = step is not None and step.phase == "consent_given" and step.review is None
        if not waits or definition is None or definition.evidence is None or not request or not request.sealed:
            raise NotPossible("no_evidence_awaits_confirmation")
        claim = definition.evidence.claim
        if not accepted:
            return (event.EvidenceRejected(step=step_id, claim=claim),)
        return (event.EvidenceAccepted(step=step_id, claim=claim, fields_reused=request.fields),)

    return decide


def pay_again(service: Callable[[Dossier], MunicipalService], method: PaymentMethod, scale: float) -> Decision:
    """Start another payment attempt, by another method if wanted; an unfinished one is cancelled. `NotPossible`."""

    def decide(dossier: Dossier | None, now: datetime) -> Sequence[Event]:
        alive = _alive(dossier)
        definition = service(alive)
        if definition.fee is None or method not in definition.fee.methods:
            raise NotPossible("method_not_offered")
        step = next((step for step in definition.steps if step.kind == "payment"), None)
        state = alive.steps.get(step.id) if step else None
        if step is None or state is None or state.done or state.request is None or state.review is not None:
            raise NotPossible("no_payment_awaited")
        current = alive.requests[state.request]
        wanted = alive.model_copy(update={"payment_method": method})
        renewed = payment_requested(definition, step, wanted, (now, scale))
        if current.outcome in ("declined", "expired"):
            return (renewed,)
        return (event.StepCancelled(step=step.id, kind="payment", request=state.request), renewed)

    return decide


def withdraw() -> Decision:
    """Withdraw; nothing happens to a dossier that has been withdrawn before. Raises `NotPossible` after its end."""

    def decide(dossier: Dossier | None, _now: datetime) -> Sequence[Event]:
        alive = _alive(dossier)
        if alive.decision is not None:
            raise NotPossible("already_decided")
        return (event.DossierWithdrawn(),)

    return decide


def review(step_id: str, outcome: str, reviewer: str, authority: str | None, reasons: Sequence[str]) -> Decision:
    """Answer a review; an agency (`authority`) only its own. Raises `NotPossible`."""

    def decide(dossier: Dossier | None, _now: datetime) -> Sequence[Event]:
        step = _alive(dossier).steps.get(step_id)
        if step is None or step.review is None or step.review.outcome is not None:
            raise NotPossible("no_review_awaited")
        if authority is not None and step.review.authority != authority:
            raise NotPossible("review_of_another_authority")
        return (
            event.ReviewCompleted.model_validate(
                {
                    "step": step_id,
                    "outcome": outcome,
                    "authority": step.review.authority,
                    "reviewer": reviewer,
                    "reasons": tuple(reasons),
                }
            ),
        )

    return decide


def expire(status_event: str) -> Decision:
    """Close a dossier whose applicant did not act in time; nothing if the status has moved on since."""

    def decide(dossier: Dossier | None, now: datetime) -> Sequence[Event]:
        waits = dossier is not None and dossier.ending is None and dossier.status_event == status_event
        if not waits or dossier is None or (dossier.expected_by or "") > timestamp(now):
            return ()
        return (event.DossierExpired(step=None),)

    return decide


def record_rules(step_id: str, outcome: str, reasons: Sequence[str] = ()) -> Decision:
    """Record what the rules say, once."""

    def decide(dossier: Dossier | None, _now: datetime) -> Sequence[Event]:
        step = dossier.steps.get(step_id) if dossier and dossier.ending is None else None
        if step is None or step.rules is not None or step.done:
            return ()
        return (event.RulesEvaluated.model_validate({"step": step_id, "outcome": outcome, "reasons": tuple(reasons)}),)

    return decide


def record_document(issued: event.DocumentIssued) -> Decision:
    """Record the document, once; a dossier that ended meanwhile gets none."""

    def decide(dossier: Dossier | None, _now: datetime) -> Sequence[Event]:
        step = dossier.steps.get(issued.step) if dossier and dossier.ending is None else None
        return () if step is None or step.document is not None or step.done else (issued,)

    return decide


def _alive(dossier: Dossier | None) -> Dossier:
    if dossier is None or dossier.ending is not None:
        raise NotPossible("dossier_has_ended")
    return dossier
