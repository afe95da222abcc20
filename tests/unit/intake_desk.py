"""A dossier on the desk: the real aggregate and journal over memory, for tests of the process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from services.intake import domain
from services.intake.catalogue.load import load_catalogue
from services.intake.domain import Told, dossier_aggregate
from services.intake.state import Dossier
from shared.contracts.dossier import ConsentGiven, DossierSubmitted, RequestOutcome
from shared.journal import Cause, Journal
from shared.testing.environment import FakeEnvironment
from shared.testing.store import MemoryJournalStore

SEALED = "sealed:v1:{}:AAAA"
CATALOGUE = load_catalogue()
DOSSIER = "0123456789abcdefghjkmnpqrs"


def submitted(service: str, consents: Sequence[str] = (), **more: Any) -> DossierSubmitted:
    """A submission with sealed values that nobody opens."""
    return DossierSubmitted(
        service=service,
        service_version=1,
        language="de",
        applicant="someone",
        assurance=4,
        person=SEALED.format("person"),
        form=SEALED.format("form"),
        contact=SEALED.format("contact"),
        consents=tuple(consents),
        agencies={"debt-office": "somebody"} if service == "debt-register-extract" else {},
        **more,
    )


@dataclass
class Desk:
    """One dossier; `tell` is a fact from another service, `ask` what a person asks."""

    environment: FakeEnvironment = field(default_factory=FakeEnvironment)
    store: MemoryJournalStore = field(default_factory=MemoryJournalStore)
    facts: int = 0

    def __post_init__(self) -> None:
        aggregate = dossier_aggregate(CATALOGUE, public_url="https://emmen.example", deadline_scale=1.0)
        self.journal: Journal[Dossier] = Journal(aggregate, self.store, self.environment, tenant="emmen", key=b"k" * 32)

    async def submit(self, service: str, consents: Sequence[str] = (), **more: Any) -> Dossier:
        """Hand a dossier in."""
        given = [
            ConsentGiven(step=step, claim=claim.claim, purpose=claim.purpose, legal_basis=claim.legal_basis)
            for step in consents
            if (definition := CATALOGUE[service, 1].step(step)) and (claim := definition.evidence)
        ]
        return await self.ask(domain.submit(submitted(service, consents, **more), given), creates=True)

    async def ask(self, decide: domain.Decision, *, creates: bool = False) -> Dossier:
        """Let a person ask something."""
        self.facts += 1
        cause = Cause.command("somebody", f"key-{self.facts}", "body")
        return (await self.journal.record(DOSSIER, decide, cause, creates=creates)).state

    async def tell(self, step: str, outcome: RequestOutcome, sequence: int, **details: Any) -> Dossier:
        """Let another service tell something of a step's current request, as its event number `sequence`."""
        state = await self.dossier()
        request = state.steps[step].request or ""
        cause = Cause(f"{request}:{sequence}", subject=request, sequence=sequence)
        told = Told(request, f"{request}:{sequence}", outcome, **details)
        return (await self.journal.record(DOSSIER, domain.record_outcome(told), cause)).state

    async def dossier(self) -> Dossier:
        """The dossier as it is now."""
        found = await self.journal.state(DOSSIER)
        assert found is not None
        return found.state

    async def words(self) -> list[str]:
        """The words of all events so far."""
        return [recorded.event.word for recorded in await self.journal.recorded(DOSSIER)]
