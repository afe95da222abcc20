"""What payments does outside: make, watch and close checkouts, give money back, notice unpaid bills. Decides nothing.

A performer asks the provider and hands what it says to the core. It never answers for the provider.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.payments import domain
from services.payments.domain import Session
from services.payments.psp import Order, PaymentProvider, ProviderRefused
from services.payments.settings import PaymentsSettings
from services.payments.state import Payment
from shared.contracts.payments import PaymentExpired
from shared.environment import Environment, parse_timestamp
from shared.journal import Task
from shared.relay import dossier_of
from shared.work import Again, Done, Performer, timer

log = logging.getLogger(__name__)

PROVIDER: Final = "psp"
DELAYED_ATTEMPT: Final = 3
LONGEST_POLL_FACTOR: Final = 6
REFUND_SECONDS: Final = 60.0
# Stripe takes an end between 30 minutes and 24 hours after the session is made. It also repeats the answer to a key for
# a day, even a failure. So a checkout is made with one key and one body for half an hour, then with the next.
WINDOW: Final = timedelta(minutes=30)
SHORTEST: Final = timedelta(minutes=61)
LONGEST: Final = timedelta(hours=24) - timedelta(minutes=5)

Result = Done[Payment] | Again[Payment]


@dataclass(frozen=True)
class Desk:
    """What the performers need: the provider, the time, and settings (where the payer returns, how often to look)."""

    provider: PaymentProvider
    environment: Environment
    settings: PaymentsSettings

    def after(self, attempts: int) -> float:
        """Seconds until the next look at a checkout: 10, 20, 40, 60, 60 … with the usual setting."""
        return float(self.settings.poll_first_seconds * min(2 ** min(attempts, 10), LONGEST_POLL_FACTOR))


def performers(desk: Desk) -> dict[str, Performer[Payment]]:
    """Return how each kind of work is done."""
    longest = desk.settings.poll_first_seconds * LONGEST_POLL_FACTOR

    def give_up(task: Task[Payment], reason: str) -> domain.Decision:
        return domain.expire if reason == "too_old" else domain.fail("provider_failed")

    def performer(perform: Callable[[Desk, Task[Payment]], Awaitable[Result]], longest: float) -> Performer[Payment]:
        return Performer(lambda task: perform(desk, task), give_up, provider=PROVIDER, longest_backoff_seconds=longest)

    return {
        domain.CREATE: replace(performer(create_checkout, 30.0), delayed=_delayed),
        domain.POLL: replace(performer(poll_checkout, longest), awaited=False),
        domain.CLOSE: replace(performer(close_checkout, longest), give_up=lambda *_: domain.abandon_closing),
        domain.REFUND: replace(performer(refund, 300.0), give_up=lambda _, reason: domain.refer(reason)),
        domain.OVERDUE: Performer(timer(_overdue), give_up),
    }


async def create_checkout(desk: Desk, task: Task[Payment]) -> Result:
    """Make the page on which the applicant pays."""
    if task.state.status != "opened":
        return Done()
    order, key = order_of(task, desk.environment.now(), desk.settings.public_url)
    try:
        made = await desk.provider.create(order, key)
    except ProviderRefused as refused:
        _log(task, refused)
        return Done(domain.fail("provider_refused"))
    return Done(domain.record_checkout(made.session, made.url, made.expires_at))


async def poll_checkout(desk: Desk, task: Task[Payment]) -> Result:
    """Ask how an open checkout stands, so that nobody waits for a lost webhook; close it when its time is over."""
    if task.state.status != "checkout":
        return Done()
    return await _ask(desk, task, closing=_is_over(task.state.pay_by, desk.environment.now()))


async def close_checkout(desk: Desk, task: Task[Payment]) -> Result:
    """Close the checkout before the payment ends; what was paid meanwhile counts."""
    if task.state.ended and task.state.closing is not None:
        return Done()
    return await _ask(desk, task, closing=True)


async def refund(desk: Desk, task: Task[Payment]) -> Result:
    """Give the money back, or leave it to people when the provider cannot."""
    if task.state.owed_back <= 0:
        return Done()
    try:
        outcome = await desk.provider.refund(task.state.session or "", task.id)
    except ProviderRefused as refused:
        _log(task, refused)
        return Done(domain.refer("provider_refused"))
    if outcome == "pending":
        return Again(REFUND_SECONDS)
    return Done(domain.returned if outcome == "succeeded" else domain.refer("refund_failed"))


def order_of(task: Task[Payment], now: datetime, public_url: str) -> tuple[Order, str]:
    """Return the order and its idempotency key: both the same for every repeat within half an hour."""
    state, opened = task.state, parse_timestamp(task.state.opened_at)
    window = max(0, (now - opened) // WINDOW)
    start = opened + window * WINDOW
    wanted = parse_timestamp(state.pay_by) if state.pay_by else start + LONGEST
    dossier = dossier_of(task.subject)
    order = Order(
        payment=task.subject,
        dossier=dossier,
        amount=state.amount,
        currency=state.currency,
        method=state.method,
        purpose=state.purpose,
        language=state.language,
        return_url=f"{public_url.rstrip('/')}/?dossier={dossier}",
        expires_at=min(max(wanted, start + SHORTEST), start + LONGEST),
    )
    return order, f"{task.id}/{window}" if window else task.id


async def _ask(desk: Desk, task: Task[Payment], *, closing: bool) -> Result:
    state, session = task.state, task.state.session or ""
    try:
        found = await (desk.provider.expire(session) if closing else desk.provider.fetch(session))
    except ProviderRefused as refused:
        _log(task, refused)
        # A provider that does not know a checkout may be one with the wrong key: until its end it may still be paid.
        if not _is_over(state.expires_at, desk.environment.now()):
            return Again(desk.after(task.attempts))
        found = Session(session, "expired", 0, state.currency)
    if found.state == "open" and (closing or found.declined is None):
        return Again(_until(desk, task))
    return Done(domain.settle(found))


def _until(desk: Desk, task: Task[Payment]) -> float:
    """Seconds until the next look, not past the time until which can be paid."""
    pause, pay_by = desk.after(task.attempts), task.state.pay_by
    left = (parse_timestamp(pay_by) - desk.environment.now()).total_seconds() if pay_by else pause
    return min(pause, left) if left > 0 else pause


def _is_over(end: str | None, now: datetime) -> bool:
    return end is not None and now >= parse_timestamp(end)


def _delayed(task: Task[Payment]) -> domain.Decision | None:
    return domain.delay(task.attempts) if task.attempts >= DELAYED_ATTEMPT else None


def _overdue(state: Payment) -> PaymentExpired | None:
    return PaymentExpired(step=state.step) if state.status == "invoiced" else None


def _log(task: Task[Payment], refused: ProviderRefused) -> None:
    log.error("payment_provider_refused", extra={"work_id": task.id, "status": refused.status, "reason": refused.code})
