"""Understanding Stripe's webhooks: are they Stripe's, which payment is meant, what is said. Stores nothing."""

from dataclasses import dataclass
from typing import Any, Final

import stripe

from services.payments import domain
from services.payments.psp import decline_code, seen_session
from shared.journal.journal import nothing

TOLERANCE_SECONDS: Final = 300
_SESSIONS: Final = frozenset(
    {"checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.expired"}
)
_REFUSALS: Final = frozenset({"payment_intent.payment_failed"})


class Forged(Exception):  # noqa: N818 - what it is
    """No or no good signature, or one older than the tolerance."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a verified webhook says of a payment; `payment` is None for a kind that does not concern us."""

    id: str
    payment: str | None = None
    decide: domain.Decision = nothing


def read_webhook(body: bytes, signature: str | None, secret: str) -> Notice:
    """Verify a webhook over its raw bytes (docs.stripe.com/webhooks/signature) and read it. Raises `Forged`."""
    try:
        event = stripe.Webhook.construct_event(body, signature, secret, TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, ValueError, AttributeError, TypeError, RecursionError):
        # The library reads what anybody sends: a signature beyond ASCII, JSON that is no object or has no bottom.
        raise Forged from None
    notice = str(getattr(event, "id", ""))
    kind, subject = getattr(event, "type", ""), getattr(getattr(event, "data", None), "object", None)
    if kind in _SESSIONS and isinstance(subject, stripe.checkout.Session):
        payment = _text(subject, "client_reference_id")
        return Notice(notice, payment, domain.settle(seen_session(subject)))
    if kind in _REFUSALS and isinstance(subject, stripe.PaymentIntent):
        payment = _text(getattr(subject, "metadata", None), "payment")
        return Notice(notice, payment, domain.refuse_card(decline_code(subject) or "card_declined"))
    return Notice(notice)


def _text(parent: Any, name: str) -> str | None:
    value = getattr(parent, name, None)
    return value if isinstance(value, str) and value and value.isascii() else None
