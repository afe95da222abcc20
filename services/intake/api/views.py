"""How a dossier looks from outside. Pure; shows no sealed value."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.intake.catalogue.model import MunicipalService, StepDefinition
from services.intake.issuing import reference
from services.intake.state import Dossier, StepState
from shared.contracts.dossier import Ending
from shared.contracts.event import Event
from shared.contracts.status import TEXTS, Language
from shared.journal import Recorded


class View(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


class NextActionView(View):
    """What the applicant can do, and where."""

    action: str
    url: str


class StatusView(View):
    """The public status."""

    code: str
    text: str
    delay: str | None = Field(description="Who cannot be reached since when, and how many dossiers wait.")
    waiting_for: str
    next_action: NextActionView | None
    expected_by: str | None


class StepView(View):
    """A step of the process: `open`, `waiting` for another step, or `done`."""

    id: str
    title: str
    kind: str
    state: str


class PaymentView(View):
    """The fee and how to pay it."""

    amount: int = Field(description="In rappen.")
    currency: str
    method: str | None
    methods: tuple[str, ...]
    url: str | None = Field(description="The payment provider's page.")
    bill: str | None = Field(description="The QR-bill as PDF.")


class DocumentView(View):
    """An issued document."""

    id: str
    kind: str
    url: str
    sha256: str
    size: int


class DossierView(View):
    """A dossier as its applicant sees it."""

    id: str
    reference: str
    service: str
    title: str
    submitted_at: str
    status: StatusView
    steps: tuple[StepView, ...]
    payment: PaymentView | None
    documents: tuple[DocumentView, ...]
    ending: Ending | None
    sequence: int


class TimelineEntry(View):
    """One event of a dossier; sealed values and tokens of people are left out."""

    sequence: int
    time: str
    event: str
    data: dict[str, Any]


def dossier_view(
    service: MunicipalService | None, dossier: Dossier, sequence: int, language: Language, delay: str | None = None
) -> DossierView:
    """Return a dossier with its texts in one language; `delay` is the sentence about what it waits for.

    Without its service (it has left the catalogue) titles are ids, and what only the catalogue knows is left out.
    """
    return DossierView(
        id=dossier.id,
        reference=reference(dossier.id),
        service=dossier.service,
        title=service.title[language] if service else dossier.service,
        submitted_at=dossier.submitted_at,
        status=status_view(service, dossier, language, delay),
        steps=_steps(service, dossier, language),
        payment=_payment(service, dossier),
        documents=tuple(_document(dossier, document) for document in dossier.documents),
        ending=dossier.ending,
        sequence=sequence,
    )


def status_view(
    service: MunicipalService | None, dossier: Dossier, language: Language, delay: str | None = None
) -> StatusView:
    """Return the public status with its text and the address of the next action."""
    code = dossier.status or "received"
    action = dossier.next_action
    url = _action_url(service, dossier, action) if action else None
    return StatusView(
        code=code,
        text=TEXTS[code][language],
        delay=delay,
        waiting_for=dossier.waiting_for or "authority",
        next_action=NextActionView(action=action, url=url) if action and url else None,
        expected_by=dossier.expected_by,
    )


def timeline_entry(recorded: Recorded) -> TimelineEntry:
    """Return an event for the timeline."""
    shown = {name: value for name, value in recorded.event.model_dump(mode="json").items() if _is_shown(name, value)}
    return TimelineEntry(sequence=recorded.sequence, time=recorded.time, event=_word(recorded.event), data=shown)


def _word(event: Event) -> str:
    return event.word


_HIDDEN = frozenset({"applicant", "agencies", "reviewer", "contact", "person", "form", "sealed", "register_id"})


def _is_shown(name: str, value: object) -> bool:
    return name not in _HIDDEN and value is not None


def _steps(service: MunicipalService | None, dossier: Dossier, language: Language) -> tuple[StepView, ...]:
    if service is not None:
        return tuple(_step(step, dossier.steps.get(step.id), language) for step in service.steps)
    return tuple(
        StepView(id=step_id, title=step_id, kind=step.kind, state="done" if step.done else "open")
        for step_id, step in dossier.steps.items()
    )


def _step(step: StepDefinition, state: StepState | None, language: Language) -> StepView:
    shown = "waiting" if state is None else "done" if state.done else "open"
    return StepView(id=step.id, title=step.title[language], kind=step.kind, state=shown)


def _payment(service: MunicipalService | None, dossier: Dossier) -> PaymentView | None:
    if service is None:
        return None
    step = next((step for step in service.steps if step.kind == "payment"), None)
    if step is None or service.fee is None:
        return None
    state, request = dossier.steps.get(step.id), dossier.request_of(step.id)
    payable = request is not None and state is not None and not state.done and dossier.ending is None
    return PaymentView(
        amount=service.fee.amount,
        currency=service.fee.currency,
        method=state.method if state else None,
        methods=service.fee.methods,
        url=request.url if payable and request and request.outcome == "checkout_created" else None,
        bill=f"/v1/dossiers/{dossier.id}/bill" if payable and request and request.reference else None,
    )


def _document(dossier: Dossier, document: str) -> DocumentView:
    known = dossier.documents[document]
    url = f"/v1/dossiers/{dossier.id}/documents/{document}"
    return DocumentView(id=document, kind=known.kind, url=url, sha256=known.sha256, size=known.size)


def _action_url(service: MunicipalService | None, dossier: Dossier, action: str) -> str | None:
    if service is None and action != "download":
        return None  # nothing can be decided without the service
    base = f"/v1/dossiers/{dossier.id}"
    payment = _payment(service, dossier)
    step = next((known for known, state in dossier.steps.items() if _awaits(state, dossier, known, action)), None)
    urls = {
        "give_consent": f"{base}/consents/{step}",
        "confirm_evidence": f"{base}/evidence/{step}",
        "pay": (payment.url or payment.bill) if payment else None,
        "pay_again": f"{base}/payments",
        "download": next((_document(dossier, document).url for document in dossier.documents), None),
        "contact_authority": f"/v1/services/{dossier.service}",
    }
    return urls[action]


def _awaits(state: StepState, dossier: Dossier, step: str, action: str) -> bool:
    if state.done or state.kind != "evidence":
        return False
    if action == "give_consent":
        return state.phase == "consent_asked"
    request = dossier.request_of(step)
    return state.phase == "consent_given" and request is not None and request.outcome == "fetched"
