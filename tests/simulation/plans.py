"""What an applicant will do, and handing in as the portal's route does it."""

from dataclasses import dataclass
from typing import Any, Final

from services.intake import domain
from services.intake.catalogue.load import newest
from services.intake.submission import PURPOSES, Submission, accept
from shared.auth import Caller
from shared.identifiers import derived_id
from shared.journal import Cause
from tests.simulation.wiring import IntakeDesk

HASH_KEY: Final = b"k" * 32


@dataclass(frozen=True)
class Plan:
    """What one applicant will do. `pages`: what they do on each payment page in turn, at last they pay."""

    number: int
    ending: str
    service: str
    start: float
    method: str = "card"
    language: str = "de"
    consents: bool = True
    agrees: bool = True
    accepts: bool = True
    known: bool = True
    debts: bool = False
    pages: tuple[str, ...] = ()
    review: str = "accepted"
    withdraws_after: int | None = None
    passive: bool = False
    impatient: bool = False
    twice: bool = False

    @property
    def name(self) -> str:
        """The family name under which the register may know the person."""
        return f"Muster{'abcdefghijklmnopqrstuvwxyz'[self.number]}"

    @property
    def caller(self) -> Caller:
        """The signed-in applicant."""
        return Caller(f"applicant-{self.number}", frozenset({"citizen"}), 4)

    @property
    def dossier(self) -> str:
        """The id that the dossier will have."""
        return derived_id(HASH_KEY, "emmen", self.caller.subject, "submit")


FORMS: Final[dict[str, tuple[dict[str, Any], str | None]]] = {
    "residence-certificate": ({"purpose": "bank", "content": "with_move_in_date"}, "residence"),
    "debt-register-extract": ({"purpose": "lease", "years": 3}, "debts"),
    "payment-slips": ({"account": "fee", "count": 3, "amount_rappen": 12_500}, None),
}


async def submit(desk: IntakeDesk, plan: Plan) -> None:
    """Hand in, as the portal's route does."""
    form, evidence = FORMS[plan.service]
    body = Submission.model_validate(
        {
            "service": plan.service,
            "language": plan.language,
            "person": {"official_name": plan.name, "first_name": "Lea", "date_of_birth": "1990-05-17"},
            "contact": {"email": f"lea.{plan.number}@example.ch"},
            "form": form,
            "consents": [evidence] if evidence and plan.consents else [],
            "payment_method": plan.method if evidence else None,
        }
    )
    keys = await desk.vault.create(plan.dossier, PURPOSES)
    accepted = await accept(newest(desk.catalogue)[plan.service], body, plan.caller, desk.people, keys)
    decide = domain.submit(accepted.submitted, accepted.consents)
    await desk.dossiers.record(plan.dossier, decide, Cause.command(plan.caller.subject, "submit", "body"), creates=True)
