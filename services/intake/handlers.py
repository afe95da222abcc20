"""Where events from other services meet the dossier: each handler translates one fact and saves. Publishes nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

from services.intake import domain
from services.intake.domain import Told
from services.intake.state import Dossier
from shared.consumer import Handler
from shared.contracts import identity, notifications, payments
from shared.contracts.dossier import RequestOutcome
from shared.contracts.envelope import Received
from shared.contracts.event import Event
from shared.journal import Cause, Decide, Journal

Dossiers = Journal[Dossier]
Translate = Callable[[Any], dict[str, Any]]


def subscriptions(dossiers: Dossiers) -> dict[type[Event], Handler]:
    """Return what intake listens to: event -> handler."""
    return {
        identity.IdentityConfirmed: _told(dossiers, "confirmed", lambda e: {"sealed": e.register_id}),
        identity.IdentityMismatched: _told(dossiers, "mismatched", _reasons),
        identity.IdentityCheckDelayed: _told(dossiers, "delayed"),
        identity.IdentityCheckFailed: _told(dossiers, "failed", _reason),
        identity.IdentityCheckCancelled: _told(dossiers, "cancelled"),
        identity.EvidenceFetched: _told(dossiers, "fetched", _evidence),
        identity.EvidenceDelayed: _told(dossiers, "delayed"),
        identity.EvidenceUnavailable: _told(dossiers, "unavailable", _reason),
        identity.EvidenceFetchCancelled: _told(dossiers, "cancelled"),
        payments.CheckoutCreated: _told(dossiers, "checkout_created", lambda e: {"url": e.url}),
        payments.InvoiceIssued: _told(dossiers, "invoiced", lambda e: {"reference": e.reference}),
        payments.PaymentDelayed: _told(dossiers, "delayed"),
        payments.PaymentSucceeded: _told(dossiers, "succeeded"),
        payments.PaymentDeclined: _told(dossiers, "declined", _reason),
        payments.PaymentExpired: _told(dossiers, "expired"),
        payments.PaymentCancelled: _told(dossiers, "cancelled"),
        payments.PaymentRefunded: _told(dossiers, "refunded"),
        notifications.MessageSent: _notified(dossiers, "sent"),
        notifications.MessageFailed: _notified(dossiers, "failed"),
        notifications.MessageSuppressed: _notified(dossiers, "suppressed"),
    }


def _told(dossiers: Dossiers, outcome: RequestOutcome, details: Translate = lambda _event: {}) -> Handler:
    """Return the handler that records this outcome of a request on its dossier."""

    def decide(received: Received) -> Decide[Dossier]:
        envelope = received.envelope
        told = Told(envelope.subject, envelope.id, outcome, **details(received.event))
        return domain.record_outcome(told)

    return _saving(dossiers, decide)


def _notified(dossiers: Dossiers, outcome: str) -> Handler:
    return _saving(dossiers, lambda received: domain.record_notice(received.envelope.subject, outcome))


def _saving(dossiers: Dossiers, decide: Callable[[Received], Decide[Dossier]]) -> Callable[[Received], Awaitable[None]]:
    async def handle(received: Received) -> None:
        envelope = received.envelope
        await dossiers.record(envelope.dossier, decide(received), Cause.event(envelope))

    return handle


def _reasons(event: identity.IdentityMismatched) -> dict[str, Any]:
    return {"reasons": event.reasons}


def _reason(event: Any) -> dict[str, Any]:
    return {"reasons": (event.reason,)}


def _evidence(event: identity.EvidenceFetched) -> dict[str, Any]:
    return {"sealed": event.evidence, "fields": event.fields}
