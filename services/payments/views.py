"""What the API of payments answers with: models, problems and their texts. Never a personal value."""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.payments.handlers import EntryOutcome, Matched
from services.payments.settings import PaymentsSettings
from services.payments.state import Payment, Status
from shared.contracts.dossier import PaymentMethod
from shared.journal import Outcome
from shared.language import Texts, texts
from shared.relay import dossier_of
from shared.web.problems import BadRequest

SIGNATURE: Final = texts(
    "Erwartet wird im Kopf Stripe-Signature eine Signatur dieses Körpers, nicht älter als 5 Minuten.",
    "L'en-tête Stripe-Signature doit signer ce corps depuis 5 minutes au plus.",
    "Nell'intestazione Stripe-Signature è attesa una firma di questo corpo, di al massimo 5 minuti fa.",
    "Expected in the header Stripe-Signature a signature of this body, not older than 5 minutes.",
)
FILE_ERRORS: Final[Mapping[str, Texts]] = {
    "xml_expected": texts(
        "Erwartet wird wohlgeformtes XML.",
        "Du XML bien formé est attendu.",
        "È atteso XML ben formato.",
        "Expected well-formed XML.",
    ),
    "doctype_not_allowed": texts(
        "Erwartet wird XML ohne DOCTYPE.",
        "Du XML sans DOCTYPE est attendu.",
        "È atteso XML senza DOCTYPE.",
        "Expected XML without a DOCTYPE.",
    ),
    "camt_054_expected": texts(
        "Erwartet wird eine Gutschriftsanzeige camt.054.001.08.",
        "Un avis de crédit camt.054.001.08 est attendu.",
        "È atteso un avviso di accredito camt.054.001.08.",
        "Expected a credit notification camt.054.001.08.",
    ),
    "account_expected": texts(
        "Erwartet wird das Konto (IBAN).",
        "Le compte (IBAN) est attendu.",
        "È atteso il conto (IBAN).",
        "Expected the account (IBAN).",
    ),
    "servicer_reference_expected": texts(
        "Erwartet wird die Referenz der Bank, höchstens 35 Zeichen.",
        "La référence de la banque est attendue, 35 caractères au plus.",
        "È atteso il riferimento della banca, al massimo 35 caratteri.",
        "Expected the bank's reference, at most 35 characters.",
    ),
    "amount_expected": texts(
        "Erwartet wird ein Betrag mit höchstens zwei Nachkommastellen.",
        "Un montant avec deux décimales au plus est attendu.",
        "È atteso un importo con al massimo due decimali.",
        "Expected an amount with at most two decimals.",
    ),
}


class SignatureInvalid(BadRequest):
    """400: not signed with our secret, or too long ago."""

    slug = "signature-invalid"
    title = texts("Ungültige Signatur", "Signature non valable", "Firma non valida", "Signature not valid")


class Received(BaseModel):
    """The answer to a webhook."""

    outcome: Literal["recorded", "unchanged", "unknown_payment", "ignored"]


class BankEntry(BaseModel):
    """What became of one credit of a bank file. Amounts in the currency's minor unit."""

    servicer_reference: str
    reference: str | None
    amount: int
    currency: str
    outcome: EntryOutcome
    payment: str | None
    to_return: int = Field(description="What nobody owes and the finance office has to return.")


class BankFileAnswer(BaseModel):
    """What became of a bank file, entry by entry."""

    entries: list[BankEntry]


class Creditor(BaseModel):
    """Who the bill is paid to."""

    model_config = ConfigDict(frozen=True)

    name: str
    street: str
    house_number: str
    postcode: str
    town: str
    country: Literal["CH"] = "CH"


class Invoice(BaseModel):
    """What stands on the QR-bill."""

    reference: str
    qr_iban: str
    creditor: Creditor


class PaymentView(BaseModel):
    """A payment as staff see it: no personal data, no address of a payment page. Amounts in rappen."""

    id: str
    dossier: str
    step: str
    status: Status
    reason: str | None = Field(description="Why it was declined or is being closed.")
    amount: int
    currency: Literal["CHF"]
    method: PaymentMethod
    opened_at: str
    pay_by: str | None
    delayed: bool
    provider_session: str | None
    refund_open: int = Field(description="What is on its way back.")
    refunded: int
    referred: int = Field(description="What the finance office has to return by hand.")
    invoice: Invoice | None


def view(outcome: Outcome[Payment], settings: PaymentsSettings) -> PaymentView:
    """Return a payment as staff see it."""
    state = outcome.state
    return PaymentView(
        id=outcome.subject,
        dossier=dossier_of(outcome.subject),
        **state.model_dump(
            include={"step", "status", "reason", "amount", "currency", "method", "opened_at", "pay_by", "delayed"}
        ),
        provider_session=state.session,
        refund_open=state.owed_back,
        refunded=state.returned,
        referred=state.referred,
        invoice=_invoice(state.reference, settings) if state.reference else None,
    )


def _invoice(reference: str, settings: PaymentsSettings) -> Invoice:
    creditor = Creditor(
        name=settings.creditor_name,
        street=settings.creditor_street,
        house_number=settings.creditor_house_number,
        postcode=settings.creditor_postcode,
        town=settings.creditor_town,
    )
    return Invoice(reference=reference, qr_iban=settings.qr_iban, creditor=creditor)


def entry(matched: Matched) -> BankEntry:
    """Return what became of a credit, as the finance office sees it."""
    credit = matched.credit
    return BankEntry(
        servicer_reference=credit.servicer_reference,
        reference=credit.reference,
        amount=credit.amount,
        currency=credit.currency,
        outcome=matched.outcome,
        payment=matched.payment,
        to_return=matched.to_return,
    )
