"""A payment's life without a journal, and samples of what happens to it. Only tests use it."""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from services.payments import domain
from services.payments.domain import Session, payment_aggregate
from services.payments.settings import PaymentsSettings
from services.payments.state import Payment
from shared.contracts.dossier import PaymentMethod, PaymentRequested
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.journal import Recorded, Work
from shared.testing.issuer import AUDIENCE, ISSUER
from shared.testing.store import MemoryJournalStore
from shared.testing.web import KEY

SUBJECT: Final = "dossier1:4"
START: Final = datetime(2026, 11, 2, 8, tzinfo=UTC)
REFERENCE: Final = "210000000003139471430009017"
AMOUNT: Final = 4000
SESSION: Final = "cs_test_1"


def request(method: PaymentMethod = "card", pay_by: datetime = START + timedelta(days=10)) -> PaymentRequested:
    """What intake asks for."""
    return PaymentRequested(
        step="fee",
        amount=AMOUNT,
        currency="CHF",
        method=method,
        purpose="residence-certificate",
        language="de",
        attempt=1,
        pay_by=timestamp(pay_by),
    )


def session(state: str = "paid", amount: int = AMOUNT, currency: str = "CHF", declined: str | None = None) -> Session:
    """What the provider says of the checkout."""
    return Session(SESSION, state, amount, currency, declined)  # type: ignore[arg-type]


@dataclass
class Life:
    """One payment: applies decisions as a journal does, and keeps what came of them."""

    state: Payment | None = None
    facts: list[Event] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    now: datetime = START

    def decide(self, decide: domain.Decision) -> list[str]:
        """Apply a decision and what follows by itself; return the words of the events."""
        before = len(self.facts)
        self._add(decide(self.state, self.now))
        while self.state is not None and len(self.facts) > before:
            following = payment_aggregate(10).react(self.state, self.now)
            if not following:
                break
            self._add(following)
        return [fact.word for fact in self.facts[before:]]

    def _add(self, events: Sequence[Event]) -> None:
        aggregate = payment_aggregate(10)
        for event in events:
            self.facts.append(event)
            recorded = Recorded(SUBJECT, len(self.facts), timestamp(self.now), event)
            self.state = aggregate.evolve(self.state, recorded)
            self.works += aggregate.plan(self.state, recorded)

    @property
    def kinds(self) -> list[str]:
        """The kinds of work wanted so far."""
        return [work.kind for work in self.works]

    @property
    def words(self) -> list[str]:
        """The words of all events."""
        return [fact.word for fact in self.facts]

    @property
    def alive(self) -> Payment:
        """The state; AssertionError before the payment was opened."""
        assert self.state is not None
        return self.state


def opened(method: PaymentMethod = "card") -> Life:
    """A payment that was asked for."""
    life = Life()
    life.decide(domain.open_payment(request(method), REFERENCE if method == "invoice" else None))
    return life


def checked_out() -> Life:
    """A payment whose page is ready."""
    life = opened()
    life.decide(domain.record_checkout(SESSION, "https://pay.example/1", START + timedelta(hours=23)))
    return life


def settings(**more: object) -> PaymentsSettings:
    """Settings of a payments role; `more` overrides."""
    key = base64.b64encode(KEY).decode()
    good = {
        "mongodb_uri": "mongodb://127.0.0.1/test",
        "journal_key": key,
        "hash_key": key,
        "oidc_issuer": ISSUER,
        "oidc_audience": AUDIENCE,
        "stripe_api_key": "sk_test_key",
        "stripe_webhook_secret": "whsec_test",
        "qr_iban": "CH44 3199 9123 0008 8901 2",
        "creditor_name": "Gemeinde Emmen",
        "creditor_postcode": "6020",
        "creditor_town": "Emmenbrücke",
    }
    return PaymentsSettings.model_validate(good | more)


@dataclass
class MemoryBooks:
    """The books over a journal store in memory."""

    store: MemoryJournalStore

    async def by_reference(self, references: Collection[str]) -> Mapping[str, str]:
        """Return reference -> payment for those that are known."""
        known = {document["state"]["reference"]: subject for subject, document in self.store.documents.items()}
        return {reference: known[reference] for reference in references if reference in known}
