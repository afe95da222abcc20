"""Where facts from outside meet the payments: events of intake, webhooks, bank files. Each is translated and saved."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from services.payments import domain, meters
from services.payments.bank import Credit
from services.payments.books import Books, free_reference
from services.payments.state import Payment
from services.payments.webhooks import Notice
from shared.consumer import Handler
from shared.contracts.dossier import PaymentRequested, StepCancelled
from shared.contracts.envelope import Received
from shared.contracts.payments import PaymentSucceeded, RefundRequested
from shared.environment import parse_timestamp
from shared.journal import Cause, Journal, Outcome, UnknownSubject

log = logging.getLogger(__name__)

Payments = Journal[Payment]
EntryOutcome = Literal["matched", "unmatched", "underpaid", "overpaid", "duplicate"]
SWISS_FRANC: Final = "CHF"


@dataclass(frozen=True, slots=True)
class Matched:
    """What became of a credit: the payment it belongs to, and what the finance office has to return of it."""

    credit: Credit
    outcome: EntryOutcome
    payment: str | None = None
    to_return: int = 0


def on_payment_requested(payments: Payments, books: Books, tenant_no: int) -> Handler:
    """Open the payment that intake asks for, named after the asking event."""

    async def handle(received: Received) -> None:
        request, envelope = received.event, received.envelope
        if not isinstance(request, PaymentRequested):
            return
        reference = None
        if request.method == "invoice":
            year = parse_timestamp(envelope.time).year
            reference = await free_reference(books, envelope.name, tenant_no, year)
        opened = domain.open_payment(request, reference)
        await payments.record(envelope.name, opened, Cause.event(envelope), new=True)

    return handle


def on_step_cancelled(payments: Payments) -> Handler:
    """Stop a payment that the dossier no longer wants."""

    async def handle(received: Received) -> None:
        cancelled, envelope = received.event, received.envelope
        if not isinstance(cancelled, StepCancelled) or cancelled.kind != "payment":
            return
        try:
            await payments.record(cancelled.request, domain.cancel_payment, Cause.event(envelope))
        except UnknownSubject:
            # The request comes before its cancellation on the same partition, so this one was never taken up.
            log.warning("cancelled_payment_unknown", extra={"subject": cancelled.request, "event_id": envelope.id})

    return handle


async def record_notice(payments: Payments, notice: Notice) -> str:
    """Record what a verified webhook says; return what became of it."""
    if notice.payment is None:
        return "ignored"
    try:
        outcome = await payments.record(notice.payment, notice.decide, Cause(f"psp:{notice.id}"))
    except UnknownSubject:
        return "unknown_payment"
    return "recorded" if outcome.events and not outcome.repeated else "unchanged"


async def book_credits(payments: Payments, books: Books, found: Sequence[Credit]) -> list[Matched]:
    """Record the credits of a bank file, each once by the bank's own id of it; return what became of each."""
    known = await books.by_reference({credit.reference for credit in found if credit.reference})
    matched = [await _book(payments, known.get(credit.reference or ""), credit) for credit in found]
    meters.record_entries(Counter(entry.outcome for entry in matched))
    return matched


async def _book(payments: Payments, payment: str | None, credit: Credit) -> Matched:
    if payment is None or credit.currency != SWISS_FRANC:
        return Matched(credit, "unmatched")
    cause = Cause(f"bank:{credit.account}:{credit.servicer_reference}")
    outcome = await payments.record(payment, domain.book_credit(credit.amount), cause)
    return Matched(credit, _entry_outcome(outcome, credit), payment, _to_return(outcome))


def _entry_outcome(outcome: Outcome[Payment], credit: Credit) -> EntryOutcome:
    if outcome.repeated:
        return "duplicate"
    facts = {type(recorded.event) for recorded in outcome.events}
    if RefundRequested in facts:
        return "overpaid"
    if PaymentSucceeded in facts:
        return "matched"
    return "underpaid" if credit.amount < outcome.state.amount else "overpaid"


def _to_return(outcome: Outcome[Payment]) -> int:
    events = [recorded.event for recorded in outcome.events]
    return sum(event.amount for event in events if isinstance(event, RefundRequested))
