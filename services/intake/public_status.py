"""The public status of a dossier: derived from where its steps stand, never set by hand. Pure.

What the applicant can do comes first; then who else is waited on.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from services.intake.catalogue.model import MunicipalService
from services.intake.state import Dossier, StepState
from shared.calendar import Deadline, expected_by
from shared.contracts.dossier import DossierStatusChanged, Ending
from shared.contracts.event import Event
from shared.contracts.status import NextAction, StatusCode, WaitingFor
from shared.environment import timestamp


class PublicStatus(NamedTuple):
    """Code, who is waited on, and what the applicant can do."""

    code: StatusCode
    waiting_for: WaitingFor
    next_action: NextAction | None = None


_ENDINGS: Final[dict[Ending, PublicStatus]] = {
    "completed": PublicStatus("completed", "nobody", "download"),
    "refused": PublicStatus("refused", "nobody", "contact_authority"),
    "withdrawn": PublicStatus("withdrawn", "nobody"),
    "expired": PublicStatus("expired", "nobody"),
}
_FOR_APPLICANT: Final = (
    PublicStatus("consent_needed", "applicant", "give_consent"),
    PublicStatus("evidence_ready", "applicant", "confirm_evidence"),
    PublicStatus("payment_declined", "applicant", "pay_again"),
    PublicStatus("payment_abandoned", "applicant", "pay_again"),
    PublicStatus("payment_due", "applicant", "pay"),
)
_IN_REVIEW: Final = PublicStatus("in_review", "authority")
_DELAYED: Final = PublicStatus("delayed", "register")
_IN_PROGRESS: Final = PublicStatus("in_progress", "authority")
_RECEIVED: Final = PublicStatus("received", "authority")


def status_changed(
    service: MunicipalService, dossier: Dossier, now: datetime, scale: float, ending: Ending | None = None
) -> Sequence[Event]:
    """Return the change of the public status, if it is another one now."""
    status = _ENDINGS[ending] if ending else public_status(dossier)
    if status.code == dossier.status:
        return ()
    deadline = None if ending else _deadline(service, status)
    due = expected_by(now, deadline, service.canton, scale) if deadline else None
    return (
        DossierStatusChanged(
            code=status.code,
            waiting_for=status.waiting_for,
            next_action=status.next_action,
            expected_by=timestamp(due) if due else None,
            service=dossier.service,
            language=dossier.language,
            contact=dossier.contact,
        ),
    )


def public_status(dossier: Dossier) -> PublicStatus:
    """Return the status of a dossier that has not ended."""
    codes = {_of_step(dossier, step_id, step) for step_id, step in dossier.steps.items() if not step.done}
    for status in _FOR_APPLICANT:
        if status.code in codes:
            return status
    if "in_review" in codes:
        return _IN_REVIEW
    if "delayed" in codes:
        return _DELAYED
    # Received is told once: whoever has heard anything else since is told that it goes on.
    return _RECEIVED if dossier.status in (None, "received") else _IN_PROGRESS


def _of_step(dossier: Dossier, step_id: str, step: StepState) -> StatusCode | None:
    if step.review is not None:
        return "in_review" if step.review.outcome is None else None
    if step.phase == "consent_asked":
        return "consent_needed"
    request = dossier.request_of(step_id)
    outcome = request.outcome if request else None
    if outcome == "fetched":
        return "evidence_ready" if step.phase == "consent_given" else None
    return _BY_OUTCOME.get(outcome or "")


_BY_OUTCOME: Final[dict[str, StatusCode]] = {
    "delayed": "delayed",
    "checkout_created": "payment_due",
    "invoiced": "payment_due",
    "declined": "payment_declined",
    "expired": "payment_abandoned",
}


def _deadline(service: MunicipalService, status: PublicStatus) -> Deadline:
    if status.waiting_for == "applicant":
        return service.deadlines.payment if status.code.startswith("payment") else service.deadlines.applicant
    return service.deadlines.review if status.code == "in_review" else service.deadlines.decision
