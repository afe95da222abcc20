"""The payment provider as payments needs it, and Stripe behind it. Decides nothing and stores nothing.

Speaks through the official `stripe` library. Retries are the work loop's: a call is made once.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NoReturn, Protocol, TypeVar

import httpx
import stripe
from stripe import StripeClient

from services.payments.domain import Session
from services.payments.settings import PaymentsSettings
from shared.contracts.status import Language
from shared.errors import Permanent, ProviderUnavailable

log = logging.getLogger(__name__)

TIMEOUT: Final = httpx.Timeout(10, connect=2)
# An unusable key or missing right is for operators to mend; nothing is lost if the work waits.
_OPERATORS: Final = frozenset({401, 403})
_BUSY: Final = frozenset({408, 409, 429})
_CODE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_FEE: Final[Mapping[Language, str]] = {"de": "Gebühr", "fr": "Émolument", "it": "Tassa", "en": "Fee"}

Refund = Literal["succeeded", "pending", "failed"]
T = TypeVar("T")


class ProviderRefused(Permanent):
    """The provider will not do what was asked; `status` is HTTP's, `code` the provider's."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"the payment provider answered {status} {code}")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Order:
    """What a checkout is made for. `amount` in the minor unit."""

    payment: str
    dossier: str
    amount: int
    currency: str
    method: str
    purpose: str | None
    language: Language | None
    return_url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Checkout:
    """A page on which the applicant can pay."""

    session: str
    url: str
    expires_at: datetime


class PaymentProvider(Protocol):
    """Every method raises `ProviderUnavailable` (ask again) or `ProviderRefused` (asking again is of no use)."""

    async def create(self, order: Order, key: str) -> Checkout:
        """Make a checkout; the same key and order give the same one."""
        ...

    async def fetch(self, session: str) -> Session:
        """Say how a checkout stands."""
        ...

    async def expire(self, session: str) -> Session:
        """Close a checkout if it is open; say how it stands then."""
        ...

    async def refund(self, session: str, key: str) -> Refund:
        """Give back all that was paid, once, however often it is asked."""
        ...


class StripeProvider:
    """Stripe Checkout (docs.stripe.com/api/checkout/sessions): hosted page, captured when paid."""

    def __init__(self, settings: PaymentsSettings, http: httpx.AsyncClient) -> None:
        self._stripe = client_of(settings, http)

    async def create(self, order: Order, key: str) -> Checkout:
        """Make a checkout for one method, so that what was paid with is known without asking."""
        try:
            made = await self._stripe.v1.checkout.sessions.create_async(_parameters(order), {"idempotency_key": key})
        except stripe.StripeError as error:
            _translate(error)
        if not made.url:
            raise ProviderRefused(200, "session_without_url")
        return Checkout(made.id, made.url, order.expires_at)

    async def fetch(self, session: str) -> Session:
        """Say how a checkout stands, with the code of a refused card."""
        return seen_session(await self._session(session))

    async def expire(self, session: str) -> Session:
        """Close a checkout. Stripe closes open ones only, so after a refusal the checkout itself tells why."""
        try:
            return seen_session(await self._stripe.v1.checkout.sessions.expire_async(session))
        except stripe.InvalidRequestError as error:
            if error.http_status != 400:
                _translate(error)
        except stripe.StripeError as error:
            _translate(error)
        return await self.fetch(session)

    async def refund(self, session: str, key: str) -> Refund:
        """Look first what was given back already: Stripe forgets an idempotency key after a day."""
        intent = (await self._session(session)).payment_intent
        if intent is None or isinstance(intent, str) or not intent.amount_received:
            raise ProviderRefused(200, "nothing_paid")
        try:
            known = await self._stripe.v1.refunds.list_async({"payment_intent": intent.id, "limit": 100})
            before = _refunded(intent.amount_received, known.data)
            if before is not None:
                return before
            made = await self._stripe.v1.refunds.create_async({"payment_intent": intent.id}, {"idempotency_key": key})
        except stripe.StripeError as error:
            if error.code == "charge_already_refunded":
                return "succeeded"
            _translate(error)
        return _refund_state(made.status)

    async def _session(self, session: str) -> stripe.checkout.Session:
        try:
            return await self._stripe.v1.checkout.sessions.retrieve_async(session, {"expand": ["payment_intent"]})
        except stripe.StripeError as error:
            _translate(error)


def client_of(settings: PaymentsSettings, http: httpx.AsyncClient) -> StripeClient:
    """Return Stripe's client for our account, over the given connections."""
    # The library would report the latency of calls to Stripe.
    stripe.enable_telemetry = False
    return StripeClient(
        settings.stripe_api_key.get_secret_value(),
        base_addresses={"api": settings.stripe_api_base.rstrip("/")},
        max_network_retries=0,
        http_client=_Transport(http),
    )


def seen_session(found: stripe.checkout.Session) -> Session:
    """Read Stripe's checkout, from an answer or a verified webhook. Completed but not yet paid counts as open.

    A member that is not there is read like one that says nothing is paid.
    """
    status, intent = getattr(found, "status", None), getattr(found, "payment_intent", None)
    paid = status == "complete" and getattr(found, "payment_status", "unpaid") != "unpaid"
    state: Literal["open", "paid", "expired"] = "paid" if paid else "expired" if status == "expired" else "open"
    declined = decline_code(intent) if state == "open" and isinstance(intent, stripe.PaymentIntent) else None
    currency, amount = getattr(found, "currency", None) or "xxx", getattr(found, "amount_total", None)
    total = amount if isinstance(amount, int) else 0
    return Session(str(getattr(found, "id", "")), state, total, str(currency).upper(), declined)


def decline_code(intent: stripe.PaymentIntent) -> str | None:
    """Return why the last try to pay failed, as a code of ours; None if it did not fail."""
    error = getattr(intent, "last_payment_error", None)
    if error is None:
        return None
    code = getattr(error, "decline_code", None) or getattr(error, "code", None) or ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else "card_declined"


def _parameters(order: Order) -> Any:
    """Return the form of the request. Everything in it follows from the payment: a repeat must be the same."""
    metadata = {"payment": order.payment, "dossier": order.dossier}
    name = _FEE[order.language or "de"]
    product = {"name": f"{name}: {order.purpose}" if order.purpose else name}
    price = {"currency": order.currency.lower(), "unit_amount": order.amount, "product_data": product}
    return {
        "mode": "payment",
        "client_reference_id": order.payment,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "allowed_payment_method_types": [order.method],
        "line_items": [{"quantity": 1, "price_data": price}],
        "locale": order.language or "auto",
        "success_url": order.return_url,
        "cancel_url": order.return_url,
        "expires_at": int(order.expires_at.timestamp()),
    }


def _refunded(captured: int, known: list[stripe.Refund]) -> Refund | None:
    states = [_refund_state(refund.status) for refund in known]
    if sum(refund.amount for refund in known if refund.status == "succeeded") >= captured:
        return "succeeded"
    return next((state for state in ("pending", "failed") if state in states), None)


def _refund_state(status: str | None) -> Refund:
    if status == "succeeded":
        return "succeeded"
    return "failed" if status in ("failed", "canceled") else "pending"


def _translate(error: stripe.StripeError) -> NoReturn:
    """Raise in our words. The provider's sentence is dropped: it may quote what was sent."""
    status = error.http_status or 0
    if status in _OPERATORS:
        log.error("payment_provider_refuses_our_key", extra={"status": status})
    if status < 400 or status >= 500 or status in _BUSY | _OPERATORS:
        raise ProviderUnavailable(f"the payment provider answered {status}") from None
    raise ProviderRefused(status, error.code or "unknown") from None


class _Transport(stripe.HTTPClient):
    """The library's way out: one call over the client we are given, with our timeouts."""

    name = "httpx"

    def __init__(self, http: httpx.AsyncClient) -> None:
        super().__init__()
        self._http = http

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Make the call; whatever keeps it from being answered is a connection error."""
        try:
            answer = await self._http.request(
                method, url, headers=dict(headers or {}), content=post_data or None, timeout=TIMEOUT
            )
        except httpx.HTTPError as error:
            raise stripe.APIConnectionError(type(error).__name__) from None  # type: ignore[no-untyped-call]
        return answer.content, answer.status_code, answer.headers

    def sleep_async(self, secs: float) -> NoReturn:
        """Never called: there are no retries here."""
        raise NotImplementedError
