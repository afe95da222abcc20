"""The state of a payment and how each event changes it. Pure: no I/O, no clock."""

from collections.abc import Callable
from typing import Any, Final, Literal

from shared.contracts import payments as event
from shared.contracts.dossier import PaymentMethod
from shared.contracts.event import Event
from shared.contracts.status import Language
from shared.environment import parse_timestamp, timestamp
from shared.journal import Recorded, State

Status = Literal[
    "opened", "checkout", "closing", "invoiced", "succeeded", "declined", "expired", "cancelled", "refunded"
]
ENDED: Final = frozenset({"succeeded", "declined", "expired", "cancelled", "refunded"})


class Payment(State):
    """One attempt to collect one fee. Amounts in rappen; holds no personal data."""

    step: str
    amount: int
    currency: Literal["CHF"]
    method: PaymentMethod
    purpose: str | None
    language: Language | None
    pay_by: str | None
    opened_at: str
    status: Status = "opened"
    delayed: bool = False
    session: str | None = None
    expires_at: str | None = None
    closing: Literal["cancelled", "declined"] | None = None
    reason: str | None = None
    reference: str | None = None
    captured: bool = False
    unwanted: bool = False
    to_return: int = 0
    returned: int = 0
    referred: int = 0
    return_currency: str = "CHF"

    @property
    def ended(self) -> bool:
        """Whether this attempt can take no more money."""
        return self.status in ENDED

    @property
    def owed_back(self) -> int:
        """What is still to be given back, in the minor unit of `return_currency`."""
        return self.to_return - self.returned - self.referred


def evolve(state: Payment | None, recorded: Recorded) -> Payment:
    """Return the payment after an event of its journal."""
    if isinstance(recorded.event, event.PaymentOpened):
        pay_by = timestamp(parse_timestamp(recorded.event.pay_by)) if recorded.event.pay_by else None
        return Payment(**(recorded.event.model_dump() | {"opened_at": recorded.time, "pay_by": pay_by}))
    if state is None:
        raise ValueError("a payment begins with PaymentOpened")
    change = _CHANGES.get(type(recorded.event))
    return state.model_copy(update=change(state, recorded.event)) if change else state


def _created(_: Payment, created: event.CheckoutCreated) -> dict[str, Any]:
    expires_at = timestamp(parse_timestamp(created.expires_at))
    return {"status": "checkout", "session": created.session, "expires_at": expires_at}


def _closes(state: Payment, closes: event.CheckoutClosureRequested) -> dict[str, Any]:
    known = {"session": closes.session, "unwanted": state.unwanted or closes.because == "cancelled"}
    if state.ended:
        return known
    return known | {"status": "closing", "closing": closes.because, "reason": closes.reason}


def _returning(state: Payment, asked: event.RefundRequested) -> dict[str, Any]:
    total = state.to_return + asked.amount
    unwanted = state.unwanted or asked.reason == "cancelled"
    return {"to_return": total, "return_currency": asked.currency, "captured": True, "unwanted": unwanted}


# Each change is given the event class it stands beside.
_CHANGES: Final[dict[type[Event], Callable[[Payment, Any], dict[str, Any]]]] = {
    event.CheckoutCreated: _created,
    event.CheckoutClosureRequested: _closes,
    event.InvoiceIssued: lambda _, issued: {"status": "invoiced", "reference": issued.reference},
    event.PaymentDelayed: lambda _, __: {"delayed": True},
    event.PaymentSucceeded: lambda _, __: {"status": "succeeded", "captured": True},
    event.PaymentDeclined: lambda _, declined: {"status": "declined", "reason": declined.reason},
    event.PaymentExpired: lambda _, __: {"status": "expired"},
    event.PaymentCancelled: lambda _, __: {"status": "cancelled", "unwanted": True},
    event.RefundRequested: _returning,
    event.PaymentRefunded: lambda state, back: {"status": "refunded", "returned": state.returned + back.amount},
    event.RefundReferred: lambda state, left: {"referred": state.referred + left.amount},
}
