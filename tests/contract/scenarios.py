"""Playing a residence certificate through intake's own process, without stores, broker or other services.

A scenario is a list of moves; each move is one save, and what intake then recorded is what its note in a sequence
diagram of `docs/events.md` must say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from services.intake import domain
from services.intake.catalogue.load import load_catalogue
from services.intake.catalogue.model import MunicipalService
from services.intake.state import Dossier
from shared.contracts.dossier import (
    ConsentGiven,
    DocumentIssued,
    DossierStatusChanged,
    DossierSubmitted,
    PaymentMethod,
    RequestOutcome,
    StepKind,
)
from shared.contracts.event import Event
from shared.journal import Cause, Decide, Journal
from shared.testing.environment import FakeEnvironment
from shared.testing.store import MemoryJournalStore

DOSSIER = "0k3v9m2q7x4w8c1r5t6y0d2f9h"
SEALED = "sealed:v1:{}:AAAA"
CATALOGUE = load_catalogue()


def submitted(service: str = "residence-certificate", consents: tuple[str, ...] = ()) -> DossierSubmitted:
    """Return an invented submission; its personal values are sealed with nobody's key."""
    return DossierSubmitted(
        service=service,
        service_version=1,
        language="de",
        applicant="7q2m4x9w1c8r5t3y6d0f2h4k1v",
        assurance=2,
        person=SEALED.format("person"),
        form=SEALED.format("form"),
        contact=SEALED.format("contact"),
        consents=consents,
        payment_method="card",
    )


@dataclass
class Play:
    """One dossier and what it recorded, save by save: event names, a status with its code."""

    environment: FakeEnvironment = field(default_factory=FakeEnvironment)
    saves: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        aggregate = domain.dossier_aggregate(CATALOGUE, public_url="http://portal.example", deadline_scale=1.0)
        self.journal = Journal(aggregate, MemoryJournalStore(), self.environment, tenant="muster", key=b"k" * 32)

    async def state(self) -> Dossier:
        """Return where the dossier stands."""
        found = await self.journal.state(DOSSIER)
        assert found is not None
        return found.state

    async def save(self, decide: Decide[Dossier]) -> None:
        """Save a decision and note what was recorded."""
        cause = Cause(f"move:{len(self.saves)}")
        outcome = await self.journal.record(DOSSIER, decide, cause, creates=True)
        self.saves.append([_named(recorded.event) for recorded in outcome.events])


Move = Callable[[Play], Any]


def _named(event: Event) -> str:
    name = type(event).__name__
    return f"{name} {event.code}" if isinstance(event, DossierStatusChanged) else name


def _service(_: Dossier) -> MunicipalService:
    return CATALOGUE["residence-certificate", 1]


def submit(*consents: str) -> Move:
    """Hand in, agreeing to evidence or not."""
    claims = [
        ConsentGiven(step=step, claim="residence_record", purpose="residence_certificate", legal_basis="RHG Art. 6")
        for step in consents
    ]
    return lambda play: play.save(domain.submit(submitted(consents=consents), claims))


def told(kind: StepKind, outcome: RequestOutcome, *reasons: str, **details: Any) -> Move:
    """Another service tells what became of the newest request of this kind."""

    async def move(play: Play) -> None:
        requests = [known for known, request in (await play.state()).requests.items() if request.kind == kind]
        report = domain.Told(requests[-1], f"{requests[-1]}:1", outcome, reasons, **details)
        await play.save(domain.record_outcome(report))

    return move


def consent(*, granted: bool) -> Move:
    """Answer the asked consent."""
    return lambda play: play.save(domain.answer_consent(_service, "residence", granted=granted))


def confirm(*, accepted: bool = True) -> Move:
    """Answer the preview."""
    return lambda play: play.save(domain.confirm_evidence(_service, "residence", accepted=accepted))


def pay_again(method: PaymentMethod = "card") -> Move:
    """Start another attempt."""
    return lambda play: play.save(domain.pay_again(_service, method, 1.0))


def withdraw() -> Move:
    """Take the request back."""
    return lambda play: play.save(domain.withdraw())


def reviewed(step: str, outcome: str) -> Move:
    """A case worker answers."""
    return lambda play: play.save(domain.review(step, outcome, "0token", None, ("seen_passport",)))


def rules(outcome: str = "granted", *reasons: str) -> Move:
    """The rules are applied."""
    return lambda play: play.save(domain.record_rules("decision", outcome, reasons))


def issue() -> Move:
    """The document is made."""
    step = "certificate"
    issued = DocumentIssued(
        step=step, document=f"{DOSSIER}-{step}", kind="residence-certificate", sha256="0" * 64, size=1
    )
    return lambda play: play.save(domain.record_document(issued))


def notified() -> Move:
    """The mail about the present status was sent."""

    async def move(play: Play) -> None:
        await play.save(domain.record_notice((await play.state()).status_event or "", "sent"))

    return move


def deadline() -> Move:
    """The applicant's time is over."""

    async def move(play: Play) -> None:
        play.environment.advance(timedelta(days=60))
        await play.save(domain.expire((await play.state()).status_event or ""))

    return move


CONFIRMED = told("identity", "confirmed", sealed=SEALED.format("person"))
FETCHED = told("evidence", "fetched", sealed=SEALED.format("evidence"), fields=12)
CHECKOUT = told("payment", "checkout_created", url="https://pay.example/1")
PAID = told("payment", "succeeded")
TO_PAYMENT = (submit("residence"), CONFIRMED, FETCHED, confirm(), CHECKOUT)

SCENARIOS: dict[str, Sequence[Move]] = {
    "success": (submit("residence"), CONFIRMED, CHECKOUT, FETCHED, confirm(), PAID, rules(), issue()),
    "mail": (submit("residence"), notified()),
    "identity-mismatch": (
        submit("residence"),
        told("identity", "mismatched", "date_of_birth_differs"),
        reviewed("identity", "accepted"),
    ),
    "identity-refused": (
        submit("residence"),
        told("identity", "mismatched", "date_of_birth_differs"),
        reviewed("identity", "refused"),
    ),
    "register-down": (submit("residence"), told("identity", "delayed"), CONFIRMED),
    "register-given-up": (
        submit("residence"),
        told("identity", "delayed"),
        told("identity", "failed", "register_unavailable"),
    ),
    "consent-refused": (submit(), CONFIRMED, consent(granted=False), reviewed("residence", "accepted")),
    "card-declined": (*TO_PAYMENT, told("payment", "declined", "card_declined"), pay_again(), CHECKOUT, PAID),
    "checkout-abandoned": (*TO_PAYMENT, told("payment", "expired"), pay_again(), CHECKOUT, PAID),
    "withdrawal": (
        submit("residence"), CONFIRMED, CHECKOUT, FETCHED, PAID, withdraw(), told("payment", "refunded"),
    ),
    "deadline": (*TO_PAYMENT, deadline(), told("payment", "cancelled")),
}  # fmt: skip
"""What happens in each diagram that intake takes part in; the key is the diagram's anchor."""


async def play(scenario: str) -> list[list[str]]:
    """Return what intake records in a scenario, save by save."""
    stage = Play()
    for move in SCENARIOS[scenario]:
        await move(stage)
    return stage.saves
