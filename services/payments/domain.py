"""A payment's life: what is decided, what follows, which work an event wants. Pure: no I/O, no clock.

    opened ─ checkout ─ (closing) ─ succeeded | declined | expired | cancelled      card, TWINT
    opened ─ invoiced ─ succeeded | expired | cancelled                             QR-bill
    money that nobody owes (any more) ─ refund requested ─ refunded | referred to the finance office

Every fact may come late, twice or in another order; what no longer matters leads to nothing. A checkout is left only
when the provider says that it is paid or closed, so an ended attempt can take no money.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from services.payments.state import Payment, evolve
from shared.contracts import payments as event
from shared.contracts.dossier import PaymentRequested
from shared.contracts.event import Event
from shared.contracts.topics import PAYMENTS_EVENTS
from shared.environment import parse_timestamp, timestamp
from shared.journal import Aggregate, Decide, Recorded, Work

SCHEMA: Final = 1
CREATE: Final = "create_checkout"
POLL: Final = "poll_checkout"
CLOSE: Final = "close_checkout"
REFUND: Final = "refund"
OVERDUE: Final = "invoice_overdue"
LARGEST_AMOUNT: Final = 100_000_000

_OPEN: Final = frozenset({"checkout", "closing"})

# Stripe asks not to tell the payer these: it would warn a thief (docs.stripe.com/declines/codes).
_DISCREET: Final = frozenset({"fraudulent", "lost_card", "stolen_card", "pickup_card", "merchant_blacklist"})


@dataclass(frozen=True, slots=True)
class Session:
    """What the provider says of a checkout. `amount` in the minor unit, `declined` the last refusal's code."""

    id: str
    state: Literal["open", "paid", "expired"]
    amount: int
    currency: str
    declined: str | None = None


Decision = Decide[Payment]


def payment_aggregate(poll_first_seconds: float) -> Aggregate[Payment]:
    """Return how a payment lives; the first look at a checkout comes so many seconds after it was made."""
    return Aggregate(
        service="payments",
        name="payment",
        topic=PAYMENTS_EVENTS,
        schema=SCHEMA,
        state=Payment,
        evolve=evolve,
        react=react,
        plan=lambda state, recorded: plan(state, recorded, poll_first_seconds),
    )


def open_payment(request: PaymentRequested, reference: str | None) -> Decision:
    """Take up a request; a QR-bill with this `reference` is issued at once."""

    def decide(state: Payment | None, _now: datetime) -> Sequence[Event]:
        if state is not None:
            return ()
        copied = request.model_dump(include=set(event.PaymentOpened.model_fields))
        opened = event.PaymentOpened.model_validate(copied)
        if reference is None:
            return (opened,)
        return (opened, event.InvoiceIssued(step=request.step, reference=reference, pay_by=request.pay_by))

    return decide


def cancel_payment(state: Payment | None, _now: datetime) -> Sequence[Event]:
    """The dossier no longer wants the money: end, close the checkout first, or give back what came."""
    if state is None or state.unwanted:
        return ()
    if state.status in _OPEN:
        return (_closure(state, "cancelled", "cancelled"),)
    if state.status == "succeeded":
        return (_return(state, state.amount, state.currency, "cancelled"),)
    return () if state.ended else (event.PaymentCancelled(step=state.step),)


def record_checkout(session: str, url: str, expires_at: datetime) -> Decision:
    """The provider's page is ready; if the payment ended meanwhile the page is closed and never shown."""

    def decide(state: Payment | None, _now: datetime) -> Sequence[Event]:
        if state is None or state.session is not None:
            return ()
        if state.ended:
            found = state.model_copy(update={"session": session})
            return (_closure(found, "cancelled", "payment_ended"),)
        ends = timestamp(expires_at)
        return (event.CheckoutCreated(step=state.step, url=url, expires_at=ends, session=session),)

    return decide


def settle(found: Session) -> Decision:
    """Record what the provider says of the checkout: paid, over, refused, or nothing new."""

    def decide(state: Payment | None, _now: datetime) -> Sequence[Event]:
        if state is None or found.id != state.session:
            return ()
        if found.state == "paid":
            return () if state.captured else _money(state, found.amount, found.currency)
        if found.state == "expired":
            return _over(state)
        return _refused(state, found.declined) if found.declined else ()

    return decide


def refuse_card(code: str) -> Decision:
    """A card was refused: the checkout is closed before the attempt ends as declined."""
    return lambda state, _now: _refused(state, code) if state else ()


def book_credit(amount: int) -> Decision:
    """Money in Swiss francs arrived at the bank with this payment's reference, in rappen."""

    def decide(state: Payment | None, _now: datetime) -> Sequence[Event]:
        if state is None or not 0 < amount <= LARGEST_AMOUNT:
            return ()
        if state.status == "invoiced" and amount != state.amount:
            return ()
        return _money(state, amount, "CHF")

    return decide


def delay(attempts: int) -> Decision:
    """The provider keeps silent; told once."""

    def decide(state: Payment | None, _now: datetime) -> Sequence[Event]:
        if state is None or state.delayed or state.status != "opened":
            return ()
        return (event.PaymentDelayed(step=state.step, attempts=attempts),)

    return decide


def expire(state: Payment | None, _now: datetime) -> Sequence[Event]:
    """The attempt's time is over and the provider has no page for it."""
    waits = state is not None and state.status in ("opened", "invoiced")
    return (event.PaymentExpired(step=state.step),) if state is not None and waits else ()


def fail(reason: str) -> Decision:
    """The provider refuses to do what is needed: no page is made, an open one is to be closed."""

    def decide(state: Payment | None, _now: datetime) -> Sequence[Event]:
        if state is None:
            return ()
        if state.status == "opened":
            return (event.PaymentDeclined(step=state.step, reason=reason),)
        return _refused(state, reason)

    return decide


def abandon_closing(state: Payment | None, _now: datetime) -> Sequence[Event]:
    """The provider will not say how the checkout ended; the payment ends, and money that comes goes back."""
    return _over(state) if state is not None and state.status == "closing" else ()


def returned(state: Payment | None, _now: datetime) -> Sequence[Event]:
    """All that was to go back went back."""
    if state is None or state.owed_back <= 0:
        return ()
    return (event.PaymentRefunded(step=state.step, amount=state.owed_back, currency="CHF"),)


def refer(reason: str) -> Decision:
    """What was to go back cannot: people do it."""

    def decide(state: Payment | None, _now: datetime) -> Sequence[Event]:
        if state is None or state.owed_back <= 0:
            return ()
        return (_referred(state, reason),)

    return decide


def react(state: Payment, _now: datetime) -> Sequence[Event]:
    """What follows by itself: money of a cancelled payment goes back; what no provider can return goes to people."""
    if state.status == "succeeded" and state.unwanted and state.to_return == 0:
        return (_return(state, state.amount, state.currency, "cancelled"),)
    if state.owed_back > 0 and state.method == "invoice":
        return (_referred(state, "bank_transfer"),)
    if state.owed_back > 0 and state.return_currency != state.currency:
        return (_referred(state, "foreign_currency"),)
    return ()


def plan(state: Payment, recorded: Recorded, poll_first_seconds: float) -> Sequence[Work]:
    """Return the work an event wants."""
    match recorded.event:
        case event.PaymentOpened(method="card" | "twint"):
            return (Work(CREATE, recorded.time, not_after=state.pay_by),)
        case event.CheckoutCreated():
            first = parse_timestamp(recorded.time) + timedelta(seconds=poll_first_seconds)
            return (Work(POLL, timestamp(first)),)
        case event.CheckoutClosureRequested():
            return (Work(CLOSE, recorded.time),)
        case event.InvoiceIssued(pay_by=pay_by):
            return (Work(OVERDUE, timestamp(parse_timestamp(pay_by))),)
        case event.RefundRequested(currency=currency) if state.method != "invoice" and currency == state.currency:
            return (Work(REFUND, recorded.time),)
    return ()


def _money(state: Payment, amount: int, currency: str) -> Sequence[Event]:
    """A capture. It pays what is owed exactly, or it is a visible failure and goes back, or came too late."""
    exact = (amount, currency) == (state.amount, state.currency)
    if exact and not state.captured and (state.status == "cancelled" or not state.ended):
        paid = event.PaymentSucceeded(
            step=state.step, amount=state.amount, currency=state.currency, method=state.method
        )
        return (paid,)
    if state.ended:
        return (_return(state, amount, currency, "paid_twice" if state.captured else "late"),)
    declined = event.PaymentDeclined(step=state.step, reason="amount_mismatch")
    return (declined, _return(state, amount, currency, "amount_mismatch"))


def _over(state: Payment) -> Sequence[Event]:
    if state.status == "checkout":
        return (event.PaymentExpired(step=state.step),)
    if state.status != "closing":
        return ()
    if state.closing == "cancelled":
        return (event.PaymentCancelled(step=state.step),)
    return (event.PaymentDeclined(step=state.step, reason=state.reason or "card_declined"),)


def _refused(state: Payment, code: str) -> Sequence[Event]:
    if state.status != "checkout":
        return ()
    return (_closure(state, "declined", "card_declined" if code in _DISCREET else code),)


def _closure(state: Payment, because: Literal["cancelled", "declined"], reason: str) -> Event:
    session = state.session or ""
    return event.CheckoutClosureRequested(step=state.step, session=session, because=because, reason=reason)


def _return(state: Payment, amount: int, currency: str, reason: str) -> Event:
    return event.RefundRequested(step=state.step, amount=amount, currency=currency, reason=reason)


def _referred(state: Payment, reason: str) -> Event:
    return event.RefundReferred(step=state.step, amount=state.owed_back, currency=state.return_currency, reason=reason)
