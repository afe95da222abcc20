"""What the processor does with money: open, pay, decline, expire, refund. Each step and its event are one transaction.

Speaks no HTTP. Callers open the transaction, so that an idempotency key can be kept in it.
"""

import time
from typing import Any

import stripe
from pydantic import Field

from deploy.local.sandbox.faults import FaultBox, Faults
from deploy.local.sandbox.psp import cards, objects
from deploy.local.sandbox.psp.errors import integer, invalid, missing
from deploy.local.sandbox.psp.store import Store
from deploy.local.sandbox.settings import SandboxSettings


class PspSettings(SandboxSettings):
    """`MIN_EXPIRES_SECONDS` is Stripe's 30 minutes; tests may shorten it."""

    http_port: int = 8200
    stripe_api_key: str = "sk_test_sandbox"
    stripe_webhook_secret: str = "whsec_sandbox"  # noqa: S105 - public by intent, for development only
    webhook_url: str = ""
    min_expires_seconds: int = 1800


class PspFaults(Faults):
    """Faults of the processor."""

    drop_webhooks: int = Field(default=0, ge=0, description="the next N events are never delivered")
    duplicate_webhooks: int = Field(default=0, ge=0, description="the next N events are delivered twice")
    delay_webhooks: float = Field(default=0.0, ge=0, description="seconds before a new event is first delivered")
    reject: bool = Field(default=False, description="every payment is declined")
    reject_refunds: bool = Field(default=False, description="every refund ends as failed")


class Processor:
    """The state machine over the store."""

    def __init__(self, settings: PspSettings) -> None:
        self.settings = settings
        self.store = Store(settings.data_dir)
        self.faults: FaultBox[PspFaults] = FaultBox(PspFaults)

    def open_session(self, values: dict[str, Any]) -> dict[str, Any]:
        """Create a checkout session from form values."""
        origin, shortest = self.settings.origin(), self.settings.min_expires_seconds
        session = objects.new_session(values, origin, int(time.time()), shortest)
        self.store.save(session)
        return session

    def session(self, identifier: str) -> dict[str, Any]:
        """The session, expired if its time has come; StripeError 404."""
        session = self.store.find(identifier, "checkout.session")
        if session is None:
            raise missing("checkout.session", identifier, "session")
        if session["status"] == "open" and session["expires_at"] <= time.time():
            return self._expire(session)
        return session

    def expire(self, identifier: str) -> dict[str, Any]:
        """Expire an open session now; StripeError 400 for any other."""
        session = self.session(identifier)
        if session["status"] != "open":
            state = session["status"]
            raise invalid(f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {state}.')
        return self._expire(session)

    def expire_overdue(self) -> None:
        """Expire every open session whose time has come."""
        for session in self.store.overdue_sessions(int(time.time())):
            self._expire(session)

    def pay(self, identifier: str, method: str, decline: cards.Decline | None) -> cards.Decline | None:
        """One attempt to pay an open session; `decline` says how it fails. Returns the decline, None if paid."""
        session = self.session(identifier)
        if session["status"] != "open":
            raise invalid(f"This session is {session['status']}", code="checkout_session_not_open")
        if method not in session["payment_method_types"]:
            raise invalid(f"{method} is not offered", "payment_method_types")
        if self.faults.current.reject:
            decline = cards.GENERIC
        now = int(time.time())
        intent = self.intent(session["payment_intent"]) if session["payment_intent"] else None
        intent = intent or objects.new_intent(session, now)
        session["payment_intent"] = intent["id"]
        if decline:
            self._fail(session, intent, objects.payment_error(decline, method))
        else:
            self._capture(session, intent, method, now)
        return decline

    def intent(self, identifier: str) -> dict[str, Any]:
        """The payment intent; StripeError 404."""
        found = self.store.find(identifier, "payment_intent")
        if found is None:
            raise missing("payment_intent", identifier, "intent")
        return found

    def refund(self, values: dict[str, Any]) -> dict[str, Any]:
        """Give back part or all of a charge; StripeError when there is not so much left."""
        charge = self._charge(values)
        left = charge["amount"] - charge["amount_refunded"]
        amount = integer(values["amount"], "amount") if "amount" in values else left
        if left == 0:
            raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        if amount < 1 or amount > left:
            text = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            raise invalid(text, "amount")
        failed = self.faults.current.reject_refunds
        refund = objects.new_refund(charge, amount, values, failed, int(time.time()))
        self.store.save(refund)
        if not failed:
            charge["amount_refunded"] += amount
            charge["refunded"] = charge["amount_refunded"] == charge["amount"]
            self.store.save(charge)
            self.emit("charge.refunded", charge)
        return refund

    def ledger(self) -> list[dict[str, Any]]:
        """Every movement of money, oldest first: captured payments and succeeded refunds."""
        charges = {charge["id"]: charge for charge in self.store.all("charge")}
        moves = [self._move("payment", charge, charge) for charge in charges.values()]
        refunds = [refund for refund in self.store.all("refund") if refund["status"] == "succeeded"]
        moves += [self._move("refund", refund, charges[refund["charge"]]) for refund in refunds]
        return sorted(moves, key=lambda move: (move["created"], move["kind"]))

    def emit(self, kind: str, body: dict[str, Any]) -> None:
        """Keep an event about an object as it is now and plan its delivery, as the faults want it."""
        now, identifier = time.time(), objects.new_id("evt")
        event = {
            "id": identifier,
            "object": "event",
            "api_version": stripe.api_version,
            "created": int(now),
            "data": {"object": objects.shown(body)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.store.add_event(event)
        if not self.settings.webhook_url or self.faults.take("drop_webhooks"):
            self.store.add_delivery(identifier, now, "dropped")
            return
        copies = 2 if self.faults.take("duplicate_webhooks") else 1
        for _ in range(copies):
            self.store.add_delivery(identifier, now + self.faults.current.delay_webhooks)

    def _expire(self, session: dict[str, Any]) -> dict[str, Any]:
        session |= {"status": "expired", "url": None}
        if session["payment_intent"]:
            intent = self.intent(session["payment_intent"])
            self.store.save(intent | {"status": "canceled", "canceled_at": int(time.time())})
        self.store.save(session)
        self.emit("checkout.session.expired", session)
        return session

    def _fail(self, session: dict[str, Any], intent: dict[str, Any], error: dict[str, Any]) -> None:
        intent |= {"status": "requires_payment_method", "last_payment_error": error}
        self.store.save(intent)
        self.store.save(session)
        self.emit("payment_intent.payment_failed", intent)

    def _capture(self, session: dict[str, Any], intent: dict[str, Any], method: str, now: int) -> None:
        charge = objects.new_charge(intent, method, now)
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "latest_charge": charge["id"],
            "last_payment_error": None,
        }
        session |= {"status": "complete", "payment_status": "paid", "url": None}
        for body in (charge, intent, session):
            self.store.save(body)
        self.emit("checkout.session.completed", session)

    def _charge(self, values: dict[str, Any]) -> dict[str, Any]:
        if "payment_intent" in values:
            intent = self.intent(str(values["payment_intent"]))
            if not intent["latest_charge"]:
                raise invalid(f"PaymentIntent {intent['id']} has no successful charge to refund.", "payment_intent")
            values = values | {"charge": intent["latest_charge"]}
        if "charge" not in values:
            raise invalid("One of the following params should be provided: payment_intent or charge.")
        charge = self.store.find(str(values["charge"]), "charge")
        if charge is None:
            raise missing("charge", str(values["charge"]), "charge")
        return charge

    def _move(self, kind: str, body: dict[str, Any], charge: dict[str, Any]) -> dict[str, Any]:
        session = self.store.of_intent("checkout.session", charge["payment_intent"])[0]
        return {
            "kind": kind,
            "id": body["id"],
            "amount": body["amount"],
            "currency": body["currency"],
            "created": body["created"],
            "method": charge["payment_method_details"]["type"],
            "session": session["id"],
            "payment_intent": charge["payment_intent"],
            "client_reference_id": session["client_reference_id"],
            "metadata": session["metadata"],
        }
