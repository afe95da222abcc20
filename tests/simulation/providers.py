"""The outside world: register, payment provider, mail server. Each keeps its own truth, also when it answers wrongly.

A call may be refused undone, carried out with its answer lost, slower than anybody waits, or answered with a lie that
a real provider could tell. Decides nothing for the product.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from hashlib import sha256
from typing import Any, Final

from services.identity.register import Applicant, DebtEntries, Entry, ResidenceRecord
from services.notifications.smtp import MailRefused, RecipientDeferred
from services.payments.domain import Session
from services.payments.psp import Checkout, Order, ProviderRefused, Refund
from shared.errors import ProviderUnavailable
from tests.simulation.wires import Server, Wires

ADDRESS: Final = {"street": "Lindenweg", "houseNumber": "7", "swissZipCode": 6020, "town": "Emmen", "country": "CH"}
PERSON: Final = {"officialName": "Muster", "firstName": "Lea", "dateOfBirth": "1988-04-12"}
RESIDENCE: Final = ResidenceRecord.model_validate(
    {
        "localPersonId": "0",
        "person": PERSON,
        "municipality": {"municipalityId": 1024, "municipalityName": "Emmen", "cantonAbbreviation": "LU"},
        "address": ADDRESS,
        "since": "2019-04-01",
        "maritalStatus": "1",
        "civilStatus": "single",
        "householdSize": 1,
        "asOf": "2026-11-02",
    }
)
DEBT: Final = {"date": "2025-06-03", "creditor_category": "leasing", "amount_rappen": 96_000, "state": "initiated"}
DEBTS: Final = DebtEntries.model_validate(
    {"localPersonId": "0", "person": PERSON, "address": ADDRESS, "entries": [DEBT], "asOf": "2026-11-02"}
)
LONGEST_CALL: Final = 8.0


@dataclass
class SimRegister:
    """The residents' and debt register. People are known by name; `liars` says how often nobody is found."""

    wires: Wires
    people: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)
    lies: float = 0.0

    def __post_init__(self) -> None:
        self.server = Server("register", self.wires, ProviderUnavailable)

    def heal(self) -> None:
        """Answer well from now on."""
        self.server.heal()
        self.lies = 0.0

    async def search(self, applicant: Applicant) -> Sequence[Entry]:
        """Return the entries with this name and date of birth."""

        def find() -> list[Entry]:
            person = self.people.get((applicant.official_name, applicant.date_of_birth))
            if person is None or self.server.happens(self.lies):
                return []
            person_id, _ = person
            born = applicant.date_of_birth
            named = {"officialName": applicant.official_name, "firstName": applicant.first_name, "dateOfBirth": born}
            return [Entry.model_validate({"localPersonId": person_id, **named})]

        return await self.server.ask(find, LONGEST_CALL)

    async def residence(self, register_id: str) -> ResidenceRecord | None:
        """Return a residence record."""
        record = RESIDENCE.model_copy(update={"local_person_id": register_id})
        return await self.server.ask(lambda: None if self.server.happens(self.lies) else record, LONGEST_CALL)

    async def debt_entries(self, register_id: str) -> DebtEntries | None:
        """Return a person's debts."""
        indebted = any(debts for known, debts in self.people.values() if known == register_id)
        entries = DEBTS.entries if indebted else ()
        found = DEBTS.model_copy(update={"local_person_id": register_id, "entries": entries})
        return await self.server.ask(lambda: found, LONGEST_CALL)


@dataclass
class Page:
    """A checkout at the provider."""

    session: Session
    order: Order
    refund: Refund | None = None


Notify = Callable[[str, str, Session], None]


@dataclass
class SimProcessor:
    """The payment provider. `ledger`: every movement of money as (kind, payment, amount)."""

    wires: Wires
    notify: Notify
    pages: dict[str, Page] = field(default_factory=dict)
    keys: dict[str, tuple[Order, str]] = field(default_factory=dict)
    ledger: list[tuple[str, str, int]] = field(default_factory=list)
    lies: float = 0.0

    def __post_init__(self) -> None:
        self.server = Server("psp", self.wires, ProviderUnavailable)

    def heal(self) -> None:
        """Answer well from now on."""
        self.server.heal()
        self.lies = 0.0

    async def create(self, order: Order, key: str) -> Checkout:
        """Make a checkout; the same key and order give the same one."""
        return await self.server.ask(lambda: self._create(order, key), LONGEST_CALL)

    async def fetch(self, session: str) -> Session:
        """Say how a checkout stands; a lying provider says that nothing happened yet, or that it knows of none."""
        return await self.server.ask(lambda: self._fetch(session), LONGEST_CALL)

    async def expire(self, session: str) -> Session:
        """Close a checkout if it is open."""
        return await self.server.ask(lambda: self._expire(session), LONGEST_CALL)

    async def refund(self, session: str, key: str) -> Refund:
        """Give everything back once."""
        del key
        return await self.server.ask(lambda: self._refund(session), LONGEST_CALL)

    def act(self, session: str, action: str) -> None:
        """Do what the applicant does on the page: pay, decline or abandon."""
        page = self._page(session)
        if page.session.state != "open":
            return
        if action == "pay":
            self.ledger.append(("payment", page.order.payment, page.order.amount))
            self._become(page, "paid", "checkout.session.completed")
        elif action == "decline":
            page.session = Session(session, "open", page.order.amount, page.order.currency, "card_declined")
            self.notify("payment_intent.payment_failed", page.order.payment, page.session)
        else:
            self._become(page, "expired", "checkout.session.expired")
        self.wires.log.note(f"psp: {page.order.payment} {action}")

    def tick(self) -> None:
        """Close pages whose time is over."""
        for page in list(self.pages.values()):
            if page.session.state == "open" and page.order.expires_at <= self.wires.now():
                self._become(page, "expired", "checkout.session.expired")

    def _create(self, order: Order, key: str) -> Checkout:
        if key in self.keys:
            known, session = self.keys[key]
            if known != order:
                raise ProviderRefused(400, "idempotency_error")
            return Checkout(session, f"https://pay.example/{session}", order.expires_at)
        left = order.expires_at - self.wires.now()
        if not timedelta(minutes=30) <= left <= timedelta(hours=24):
            raise ProviderRefused(400, "parameter_invalid")
        session = f"cs_{len(self.pages) + 1}"
        self.keys[key] = (order, session)
        self.pages[session] = Page(Session(session, "open", order.amount, order.currency), order)
        self.wires.log.note(f"psp: {order.payment} has page {session}")
        return Checkout(session, f"https://pay.example/{session}", order.expires_at)

    def _fetch(self, session: str) -> Session:
        page = self._page(session)
        if self.server.happens(self.lies):
            return Session(session, "open", page.order.amount, page.order.currency)
        if self.server.happens(self.lies):
            raise ProviderRefused(404, "resource_missing")
        return page.session

    def _expire(self, session: str) -> Session:
        page = self._page(session)
        if self.server.happens(self.lies):
            raise ProviderRefused(404, "resource_missing")
        if page.session.state == "open":
            self._become(page, "expired", "checkout.session.expired")
            self.wires.log.note(f"psp: {page.order.payment} closed")
        return page.session

    def _refund(self, session: str) -> Refund:
        page = self._page(session)
        if page.session.state != "paid":
            raise ProviderRefused(200, "nothing_paid")
        if page.refund is None and self.server.happens(self.lies):
            page.refund = "pending"
            return "pending"
        if page.refund != "succeeded":
            page.refund = "succeeded"
            self.ledger.append(("refund", page.order.payment, page.order.amount))
            self.wires.log.note(f"psp: {page.order.payment} refunded")
        return "succeeded"

    def _become(self, page: Page, state: Any, kind: str) -> None:
        page.session = Session(page.session.id, state, page.order.amount, page.order.currency)
        self.notify(kind, page.order.payment, page.session)

    def _page(self, session: str) -> Page:
        if session not in self.pages:
            raise ProviderRefused(404, "resource_missing")
        return self.pages[session]


@dataclass
class SimMailServer:
    """The mail server and all mailboxes: Message-ID -> digests of the copies that arrived."""

    wires: Wires
    mailboxes: dict[str, list[str]] = field(default_factory=dict)
    defers: float = 0.0
    denies: float = 0.0

    def __post_init__(self) -> None:
        self.server = Server("smtp", self.wires, ProviderUnavailable)

    def heal(self) -> None:
        """Take mail well from now on."""
        self.server.heal()
        self.defers = self.denies = 0.0

    async def send(self, mail: EmailMessage) -> None:
        """Take a mail; `MailRefused`, `RecipientDeferred`, `ProviderUnavailable`."""
        digest = sha256(mail.as_bytes()).hexdigest()

        def take() -> None:
            if self.server.happens(self.defers):
                raise RecipientDeferred("the mailbox answers 450")
            if self.server.happens(self.denies):
                raise MailRefused(550)
            self.mailboxes.setdefault(str(mail["Message-ID"]), []).append(digest)
            self.wires.log.note(f"smtp: {mail['Message-ID']}")

        await self.server.ask(take, LONGEST_CALL)
