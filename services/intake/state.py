"""The state of a dossier and how each event changes it. Pure: no I/O, no clock, no catalogue."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from shared.contracts import dossier as event
from shared.contracts.dossier import Ending, PaymentMethod, RequestOutcome, StepKind
from shared.contracts.event import Event
from shared.contracts.status import Language, StatusCode
from shared.journal import Recorded, State

Phase = Literal["open", "consent_asked", "consent_given", "consent_refused", "accepted", "rejected", "done"]


class Request(State):
    """What this dossier asked another service for, and the last thing that service said of it."""

    step: str
    kind: StepKind
    outcome: RequestOutcome | None = None
    reasons: tuple[str, ...] = ()
    sealed: str | None = None
    fields: int = 0
    delayed_since: str | None = None
    url: str | None = None
    reference: str | None = None
    cancelled: bool = False


class Review(State):
    """A person's part in a step."""

    authority: str
    reasons: tuple[str, ...]
    outcome: Literal["accepted", "refused"] | None = None


class StepState(State):
    """Where a step stands. A step that is not open yet has none."""

    kind: StepKind
    phase: Phase = "open"
    request: str | None = None
    consent: str | None = None
    attempts: int = 0
    method: PaymentMethod | None = None
    review: Review | None = None
    rules: Literal["granted", "review"] | None = None
    reasons: tuple[str, ...] = ()
    document: str | None = None

    @property
    def done(self) -> bool:
        """Whether what comes after may begin."""
        return self.phase == "done"


class DocumentState(State):
    """An issued document; its content lies encrypted in intake's document store."""

    kind: str
    sha256: str
    size: int
    issued_at: str


class Dossier(State):
    """A citizen's request on its way. Personal values are sealed; `applicant` is a random token."""

    id: str
    service: str
    service_version: int
    language: Language
    applicant: str
    assurance: int
    person: str
    form: str
    contact: str
    payment_method: PaymentMethod | None
    agencies: dict[str, str]
    submitted_at: str
    steps: dict[str, StepState] = Field(default_factory=dict)
    requests: dict[str, Request] = Field(default_factory=dict)
    documents: dict[str, DocumentState] = Field(default_factory=dict)
    messages: dict[str, str] = Field(default_factory=dict)
    awaiting: tuple[str, ...] = Field(default=(), description="Authorities whose review is open, for their lists.")
    decision: Literal["granted", "refused"] | None = None
    automatic: bool | None = None
    withdrawn: bool = False
    expired: bool = False
    status: StatusCode | None = None
    status_event: str | None = None
    waiting_for: str | None = None
    next_action: str | None = None
    expected_by: str | None = None
    ending: Ending | None = None

    def request_of(self, step_id: str) -> Request | None:
        """Return the current request of a step."""
        step = self.steps.get(step_id)
        return self.requests.get(step.request) if step and step.request else None


def evolve(state: Dossier | None, recorded: Recorded) -> Dossier:
    """Return the dossier after an event of its journal."""
    if isinstance(recorded.event, event.DossierSubmitted):
        return _submitted(recorded, recorded.event)
    if state is None:
        raise ValueError("a dossier begins with DossierSubmitted")
    change = _CHANGES.get(type(recorded.event))
    return change(state, recorded, recorded.event) if change else state


def _submitted(recorded: Recorded, submitted: event.DossierSubmitted) -> Dossier:
    return Dossier(
        id=recorded.subject,
        submitted_at=recorded.time,
        **submitted.model_dump(exclude={"consents"}),
    )


def _step(state: Dossier, step_id: str, kind: StepKind, **changes: object) -> Dossier:
    step = state.steps.get(step_id) or StepState(kind=kind)
    return state.model_copy(update={"steps": {**state.steps, step_id: step.model_copy(update=changes)}})


def _request(state: Dossier, request_id: str, request: Request) -> Dossier:
    return state.model_copy(update={"requests": {**state.requests, request_id: request}})


def _asked(state: Dossier, recorded: Recorded, step_id: str, kind: StepKind, **changes: object) -> Dossier:
    with_request = _request(state, recorded.id, Request(step=step_id, kind=kind))
    return _step(with_request, step_id, kind, request=recorded.id, **changes)


def _identity_requested(state: Dossier, recorded: Recorded, asked: event.IdentityCheckRequested) -> Dossier:
    return _asked(state, recorded, asked.step, "identity")


def _consent_requested(state: Dossier, recorded: Recorded, asked: event.ConsentRequested) -> Dossier:
    return _step(state, asked.step, "evidence", phase="consent_asked")


def _consent_given(state: Dossier, recorded: Recorded, given: event.ConsentGiven) -> Dossier:
    return _step(state, given.step, "evidence", phase="consent_given", consent=recorded.id)


def _consent_refused(state: Dossier, recorded: Recorded, refused: event.ConsentRefused) -> Dossier:
    return _step(state, refused.step, "evidence", phase="consent_refused")


def _evidence_requested(state: Dossier, recorded: Recorded, asked: event.EvidenceRequested) -> Dossier:
    return _asked(state, recorded, asked.step, "evidence")


def _evidence_accepted(state: Dossier, recorded: Recorded, accepted: event.EvidenceAccepted) -> Dossier:
    return _step(state, accepted.step, "evidence", phase="accepted")


def _evidence_rejected(state: Dossier, recorded: Recorded, rejected: event.EvidenceRejected) -> Dossier:
    return _step(state, rejected.step, "evidence", phase="rejected")


def _payment_requested(state: Dossier, recorded: Recorded, asked: event.PaymentRequested) -> Dossier:
    return _asked(state, recorded, asked.step, "payment", attempts=asked.attempt, method=asked.method)


def _outcome_recorded(state: Dossier, recorded: Recorded, told: event.OutcomeRecorded) -> Dossier:
    request = state.requests[told.request]
    known = {name: value for name in ("sealed", "url", "reference") if (value := getattr(told, name)) is not None}
    changes = {"outcome": told.outcome, "reasons": told.reasons, "fields": told.fields or request.fields, **known}
    changes["delayed_since"] = (request.delayed_since or recorded.time) if told.outcome == "delayed" else None
    return _request(state, told.request, request.model_copy(update=changes))


def _step_opened(state: Dossier, recorded: Recorded, opened: event.StepOpened) -> Dossier:
    return _step(state, opened.step, opened.kind)


def _rules_evaluated(state: Dossier, recorded: Recorded, evaluated: event.RulesEvaluated) -> Dossier:
    kind = state.steps[evaluated.step].kind
    return _step(state, evaluated.step, kind, rules=evaluated.outcome, reasons=evaluated.reasons)


def _review_requested(state: Dossier, recorded: Recorded, asked: event.ReviewRequested) -> Dossier:
    review = Review(authority=asked.authority, reasons=asked.reasons)
    listed = state.model_copy(update={"awaiting": (*state.awaiting, asked.authority)})
    return _step(listed, asked.step, state.steps[asked.step].kind, review=review)


def _review_completed(state: Dossier, recorded: Recorded, done: event.ReviewCompleted) -> Dossier:
    step = state.steps[done.step]
    review = step.review and step.review.model_copy(update={"outcome": done.outcome})
    awaiting = list(state.awaiting)
    awaiting.remove(done.authority)
    return _step(state.model_copy(update={"awaiting": tuple(awaiting)}), done.step, step.kind, review=review)


def _step_completed(state: Dossier, recorded: Recorded, done: event.StepCompleted) -> Dossier:
    return _step(state, done.step, done.kind, phase="done")


def _step_cancelled(state: Dossier, recorded: Recorded, cancelled: event.StepCancelled) -> Dossier:
    request = state.requests[cancelled.request]
    return _request(state, cancelled.request, request.model_copy(update={"cancelled": True}))


def _decided(state: Dossier, recorded: Recorded, decided: event.DossierDecided) -> Dossier:
    return state.model_copy(update={"decision": decided.outcome, "automatic": decided.automatic})


def _document_issued(state: Dossier, recorded: Recorded, issued: event.DocumentIssued) -> Dossier:
    document = DocumentState(kind=issued.kind, sha256=issued.sha256, size=issued.size, issued_at=recorded.time)
    with_document = state.model_copy(update={"documents": {**state.documents, issued.document: document}})
    return _step(with_document, issued.step, "document", document=issued.document)


def _status_changed(state: Dossier, recorded: Recorded, changed: event.DossierStatusChanged) -> Dossier:
    update = changed.model_dump(include={"waiting_for", "next_action", "expected_by"})
    return state.model_copy(update={**update, "status": changed.code, "status_event": recorded.id})


def _notified(state: Dossier, recorded: Recorded, notified: event.ApplicantNotified) -> Dossier:
    return state.model_copy(update={"messages": {**state.messages, notified.message: notified.outcome}})


def _withdrawn(state: Dossier, recorded: Recorded, withdrawn: event.DossierWithdrawn) -> Dossier:
    return state.model_copy(update={"withdrawn": True})


def _expired(state: Dossier, recorded: Recorded, expired: event.DossierExpired) -> Dossier:
    return state.model_copy(update={"expired": True})


def _closed(state: Dossier, recorded: Recorded, closed: event.DossierClosed) -> Dossier:
    return state.model_copy(update={"ending": closed.ending, "awaiting": ()})


# Each change is given the event class it stands beside.
_CHANGES: dict[type[Event], Callable[[Dossier, Recorded, Any], Dossier]] = {
    event.IdentityCheckRequested: _identity_requested,
    event.ConsentRequested: _consent_requested,
    event.ConsentGiven: _consent_given,
    event.ConsentRefused: _consent_refused,
    event.EvidenceRequested: _evidence_requested,
    event.EvidenceAccepted: _evidence_accepted,
    event.EvidenceRejected: _evidence_rejected,
    event.PaymentRequested: _payment_requested,
    event.OutcomeRecorded: _outcome_recorded,
    event.StepOpened: _step_opened,
    event.RulesEvaluated: _rules_evaluated,
    event.ReviewRequested: _review_requested,
    event.ReviewCompleted: _review_completed,
    event.StepCompleted: _step_completed,
    event.StepCancelled: _step_cancelled,
    event.DossierDecided: _decided,
    event.DocumentIssued: _document_issued,
    event.DossierStatusChanged: _status_changed,
    event.ApplicantNotified: _notified,
    event.DossierWithdrawn: _withdrawn,
    event.DossierExpired: _expired,
    event.DossierClosed: _closed,
}
