"""What the API's routes share: finding a dossier its caller may see, saving a command, our errors as problems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.intake.api.views import DossierView, dossier_view
from services.intake.catalogue.load import newest
from services.intake.catalogue.model import MunicipalService
from services.intake.delays import DELAYED, Delays
from services.intake.domain import Catalogue, NotPossible, service_of
from services.intake.people import People
from services.intake.settings import IntakeSettings
from services.intake.state import Dossier
from services.intake.work import Files
from shared.auth import Caller
from shared.contracts.status import Language
from shared.environment import Environment
from shared.identifiers import derived_id, keyed_hash
from shared.journal import Cause, Decide, IdempotencyConflict, Journal, Outcome, StaleSequence, UnknownSubject
from shared.journal.fold import canonical
from shared.journal.model import Head
from shared.language import Texts, texts
from shared.store.files import MongoLedger, MongoTickets
from shared.store.journals import MongoJournalStore
from shared.vault import Vault
from shared.web.headers import check_version
from shared.web.pages import read_cursor, write_cursor
from shared.web.problems import Conflict, IdempotencyKeyReused, NotFound

_WHY: Final[Mapping[str, Texts]] = {
    "dossier_has_ended": texts(
        "Das Dossier ist abgeschlossen.", "Le dossier est clos.", "Il dossier è chiuso.", "The dossier has ended."
    ),
    "already_decided": texts(
        "Über das Dossier ist bereits entschieden.",
        "Le dossier est déjà décidé.",
        "Il dossier è già deciso.",
        "The dossier has been decided already.",
    ),
    "service_missing": texts(
        "Diese Dienstleistung wird zurzeit nicht geführt. Bitte wenden Sie sich an die Gemeinde.",
        "Cette prestation n’est actuellement pas proposée. Veuillez vous adresser à la commune.",
        "Questa prestazione al momento non è offerta. La preghiamo di rivolgersi al Comune.",
        "This service is not kept at present. Please contact the municipality.",
    ),
    "no_consent_awaited": texts(
        "Für diesen Schritt wird keine Einwilligung erwartet.",
        "Aucun consentement n’est attendu pour cette étape.",
        "Per questa fase non è atteso alcun consenso.",
        "No consent is awaited for this step.",
    ),
    "no_evidence_awaits_confirmation": texts(
        "Kein Nachweis wartet auf eine Bestätigung.",
        "Aucune preuve n’attend de confirmation.",
        "Nessuna prova attende conferma.",
        "No evidence awaits confirmation.",
    ),
    "no_payment_awaited": texts(
        "Es wird keine Zahlung erwartet.",
        "Aucun paiement n’est attendu.",
        "Non è atteso alcun pagamento.",
        "No payment is awaited.",
    ),
    "method_not_offered": texts(
        "Diese Zahlungsart wird hier nicht angeboten.",
        "Ce moyen de paiement n’est pas proposé ici.",
        "Questo mezzo di pagamento non è offerto qui.",
        "This payment method is not offered here.",
    ),
    "no_review_awaited": texts(
        "Für diesen Schritt wird keine Prüfung erwartet.",
        "Aucun examen n’est attendu pour cette étape.",
        "Per questa fase non è attesa alcuna verifica.",
        "No review is awaited for this step.",
    ),
    "review_of_another_authority": texts(
        "Diese Prüfung liegt bei einer anderen Behörde.",
        "Cet examen relève d’une autre autorité.",
        "Questa verifica spetta a un’altra autorità.",
        "This review is another authority’s.",
    ),
}


BY_SUBMISSION: Final = "state.submitted_at"


@dataclass(frozen=True)
class Counter:
    """Everything the routes need."""

    dossiers: Journal[Dossier]
    store: MongoJournalStore
    catalogue: Catalogue
    vault: Vault
    people: People
    files: Files
    tickets: MongoTickets
    ledger: MongoLedger
    environment: Environment
    settings: IntakeSettings
    delays: Delays

    def service(self, dossier: Dossier) -> MunicipalService:
        """Return the version of the municipal service that a dossier was opened with. Raises `Conflict`."""
        try:
            return service_of(self.catalogue, dossier)
        except NotPossible as error:
            raise not_possible(error) from None

    def offered(self) -> dict[str, MunicipalService]:
        """Return the newest version of each municipal service."""
        return newest(self.catalogue)

    def authorities(self) -> list[str]:
        """Return every authority that takes part in a service."""
        return sorted({authority.id for service in self.catalogue.values() for authority in service.authorities})

    def view(self, outcome: Outcome[Dossier], language: Language) -> DossierView:
        """Return a dossier for its applicant; a delayed one says who cannot be reached since when.

        One whose service has left the catalogue shows what is known without it.
        """
        dossier = outcome.state
        delay = self.delays.sentence(dossier, language) if dossier.status == DELAYED else None
        service = self.catalogue.get((dossier.service, dossier.service_version))
        return dossier_view(service, dossier, outcome.sequence, language, delay)

    def new_id(self, caller: Caller, key: str) -> str:
        """Return the id of the dossier that this caller's key creates: the same for a repeat."""
        return derived_id(self.settings.hash_key, self.settings.tenant, caller.subject, key)

    def cause(self, caller: Caller, key: str, route: str, body: Mapping[str, Any]) -> Cause:
        """Return the cause of a command; nothing of the caller or the body can be read from it."""
        who = keyed_hash(self.settings.hash_key, self.settings.tenant, caller.subject)
        content = keyed_hash(self.settings.hash_key, route, canonical(body).decode())
        return Cause.command(who[:32], key, content)

    def position(self, scope: str, cursor: str | None) -> tuple[str, str] | None:
        """Return where a list goes on. Raises `CursorInvalid`."""
        read = read_cursor(self.settings.hash_key, scope, cursor)
        return (str(read[0]), str(read[1])) if read else None

    def following(self, scope: str, heads: Sequence[Head], limit: int) -> str | None:
        """Return the cursor of the next page, if one more than `limit` was found."""
        if len(heads) <= limit:
            return None
        last = heads[limit - 1]
        return write_cursor(self.settings.hash_key, scope, [last.state["submitted_at"], last.subject])

    def outcomes(self, heads: Sequence[Head]) -> list[Outcome[Dossier]]:
        """Return the dossiers of stored heads."""
        return [Outcome(head.subject, Dossier.model_validate(head.state), head.sequence) for head in heads]

    async def own(self, dossier_id: str, caller: Caller) -> Outcome[Dossier]:
        """Return the caller's own dossier; anybody else's is not found. Raises `NotFound`."""
        found = await self.dossiers.state(dossier_id)
        if found is None or found.state.applicant != await self.people.applicant(caller.subject):
            raise NotFound
        return found

    async def command(
        self,
        dossier_id: str,
        decide: Decide[Dossier],
        cause: Cause,
        *,
        expected: int | None = None,
        new: bool = False,
    ) -> Outcome[Dossier]:
        """Save a command; our errors become problems that say why in the caller's language."""
        try:
            return await self.dossiers.record(dossier_id, decide, cause, new=new, expected=expected)
        except UnknownSubject:
            raise NotFound from None
        except NotPossible as error:
            raise not_possible(error) from None
        except IdempotencyConflict:
            raise IdempotencyKeyReused from None
        except StaleSequence:
            present = await self.dossiers.state(dossier_id)
            check_version(expected, present.sequence if present else 0)
            raise


def not_possible(error: NotPossible) -> Conflict:
    """Return the problem that says why something makes no sense now."""
    return Conflict(_WHY[error.code], extra={"code": error.code})
