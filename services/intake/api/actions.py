"""What applicants do with their dossier: agree, confirm, pay, withdraw. Decides nothing: the domain does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from services.intake import domain
from services.intake.api.counter import Counter
from services.intake.api.dossiers import Citizen, DossierId, StepId
from services.intake.api.views import DossierView
from services.intake.state import Dossier
from shared.contracts.dossier import PaymentMethod
from shared.journal import Decide
from shared.web.headers import CallerLanguage, ExpectedVersion, IdempotencyKey


class Consent(BaseModel):
    """Whether the evidence may be fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    granted: bool


class Confirmation(BaseModel):
    """Whether the previewed evidence may be used."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    accepted: bool


class PaymentChoice(BaseModel):
    """How to pay the next attempt."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    method: PaymentMethod


@dataclass(frozen=True)
class Action:
    """What every action of an applicant comes with."""

    dossier_id: DossierId
    caller: Citizen
    key: IdempotencyKey
    expected: ExpectedVersion
    language: CallerLanguage

    async def save(self, counter: Counter, what: str, body: Mapping[str, Any], decide: Decide[Dossier]) -> DossierView:
        """Save the decision on the caller's own dossier and show it. Raises problems."""
        await counter.own(self.dossier_id, self.caller)
        cause = counter.cause(self.caller, self.key, what, body)
        outcome = await counter.command(self.dossier_id, decide, cause, expected=self.expected)
        return counter.view(outcome, self.language)


By = Annotated[Action, Depends()]


def routes(counter: Counter) -> APIRouter:
    """Return the routes of an applicant's actions."""
    router = APIRouter(prefix="/v1/dossiers/{dossier_id}", tags=["dossiers"])

    @router.post("/consents/{step}")
    async def consent(step: StepId, body: Consent, by: By) -> DossierView:
        """Let the town fetch a piece of evidence, or not."""
        decide = domain.answer_consent(counter.service, step, granted=body.granted)
        return await by.save(counter, f"consents/{step}", body.model_dump(), decide)

    @router.post("/evidence/{step}")
    async def confirm(step: StepId, body: Confirmation, by: By) -> DossierView:
        """Let fetched evidence be used, or not."""
        decide = domain.confirm_evidence(counter.service, step, accepted=body.accepted)
        return await by.save(counter, f"evidence/{step}", body.model_dump(), decide)

    @router.post("/payments")
    async def pay(body: PaymentChoice, by: By) -> DossierView:
        """Start another payment attempt."""
        decide = domain.pay_again(counter.service, body.method, counter.settings.deadline_scale)
        return await by.save(counter, "payments", body.model_dump(), decide)

    @router.post("/withdrawal")
    async def withdraw(by: By) -> DossierView:
        """Withdraw the request; a fee that was paid goes back."""
        return await by.save(counter, "withdrawal", {}, domain.withdraw())

    return router
