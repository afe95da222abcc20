"""Shapes of Stripe's objects, from checked parameters. No storage, no HTTP; ids and times are handed in.

Members whose name starts with `_` are the sandbox's own and never leave it (`shown`).
"""

import secrets
from typing import Any

from stripe.params.checkout import SessionCreateParams

from deploy.local.sandbox.psp.cards import Decline
from deploy.local.sandbox.psp.errors import integer, invalid, items

CURRENCIES = ("chf", "eur")
LONGEST_SESSION_SECONDS = 24 * 3600
TWINT_LIMIT = 500_000
_MINIMUM_AMOUNT = 50
_REQUEST_OPTIONS = {"api_key", "content_type", "headers", "idempotency_key", "max_network_retries"} | {
    f"stripe_{name}" for name in ("account", "context", "version")
}
_SESSION_PARAMETERS = frozenset(SessionCreateParams.__annotations__) - _REQUEST_OPTIONS


def new_id(prefix: str) -> str:
    """An unguessable id in Stripe's style."""
    return f"{prefix}_{secrets.token_hex(12)}"


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """The object without the sandbox's own members."""
    return {name: value for name, value in body.items() if not name.startswith("_")}


def new_session(values: dict[str, Any], origin: str, now: int, shortest: int) -> dict[str, Any]:
    """An open checkout session, or StripeError naming the parameter. `shortest`: least seconds until expiry."""
    _check_session(values)
    lines = [_line(entry, number) for number, entry in enumerate(items(values.get("line_items"), "line_items"))]
    currencies = {line["currency"] for line in lines}
    if len(currencies) != 1:
        raise invalid("line_items must have one currency and at least one item", "line_items")
    currency, total = currencies.pop(), sum(line["amount"] for line in lines)
    if total < _MINIMUM_AMOUNT:
        raise invalid("The total must be at least 0.50", "line_items", "amount_too_small")
    identifier = new_id("cs_test")
    allowed = items(values.get("allowed_payment_method_types"), "allowed_payment_method_types")
    return {
        "id": identifier,
        "object": "checkout.session",
        "allowed_payment_method_types": allowed or None,
        "amount_subtotal": total,
        "amount_total": total,
        "cancel_url": values.get("cancel_url"),
        "client_reference_id": values.get("client_reference_id"),
        "created": now,
        "currency": currency,
        "customer": None,
        "customer_email": values.get("customer_email"),
        "expires_at": _expiry(values, now, shortest),
        "livemode": False,
        "locale": values.get("locale"),
        "metadata": _metadata(values.get("metadata"), "metadata"),
        "mode": "payment",
        "payment_intent": None,
        "payment_method_types": _methods(allowed, currency, total),
        "payment_status": "unpaid",
        "status": "open",
        "success_url": values["success_url"],
        "ui_mode": "hosted_page",
        "url": f"{origin}/pay/{identifier}",
        "_lines": lines,
        "_intent": values.get("payment_intent_data") or {},
    }


def new_intent(session: dict[str, Any], now: int) -> dict[str, Any]:
    """The payment intent of a session's first attempt."""
    data = session["_intent"]
    return {
        "id": new_id("pi"),
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_received": 0,
        "canceled_at": None,
        "capture_method": "automatic",
        "created": now,
        "currency": session["currency"],
        "description": data.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": _metadata(data.get("metadata"), "payment_intent_data[metadata]"),
        "payment_method_types": session["payment_method_types"],
        "status": "requires_payment_method",
        "_session": session["id"],
    }


def new_charge(intent: dict[str, Any], method: str, now: int) -> dict[str, Any]:
    """Money taken: the charge of a payment intent."""
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "captured": True,
        "created": now,
        "currency": intent["currency"],
        "livemode": False,
        "metadata": intent["metadata"],
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method_details": {"type": method},
        "refunded": False,
        "status": "succeeded",
    }


def new_refund(charge: dict[str, Any], amount: int, values: dict[str, Any], failed: bool, now: int) -> dict[str, Any]:
    """A refund of part or all of a charge."""
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "failure_reason": "expired_or_canceled_card" if failed else None,
        "metadata": _metadata(values.get("metadata"), "metadata"),
        "payment_intent": charge["payment_intent"],
        "reason": values.get("reason"),
        "status": "failed" if failed else "succeeded",
    }


def payment_error(decline: Decline, method: str) -> dict[str, Any]:
    """`last_payment_error` of a payment intent."""
    return {
        "type": "card_error" if method == "card" else "invalid_request_error",
        "code": decline.code,
        "decline_code": decline.decline_code,
        "message": decline.message,
    }


def _check_session(values: dict[str, Any]) -> None:
    for name in values:
        if name not in _SESSION_PARAMETERS:
            raise invalid(f"Received unknown parameter: {name}", name, "parameter_unknown")
    for name in ("mode", "success_url", "line_items"):
        if not values.get(name):
            raise invalid(f"Missing required param: {name}.", name, "parameter_missing")
    if values["mode"] != "payment" or values.get("ui_mode", "hosted_page") != "hosted_page":
        raise invalid("The sandbox knows mode=payment with ui_mode=hosted_page only", "mode")
    for name in ("success_url", "cancel_url"):
        if name in values and not str(values[name]).startswith(("http://", "https://")):
            raise invalid("Not a valid URL", name, "url_invalid")
    if len(values.get("client_reference_id", "")) > 200:
        raise invalid("Invalid string: longer than 200 characters", "client_reference_id", "parameter_invalid_string")


def _line(entry: Any, number: int) -> dict[str, Any]:
    param = f"line_items[{number}]"
    price = entry.get("price_data") if isinstance(entry, dict) else None
    if not isinstance(price, dict):
        raise invalid("The sandbox keeps no prices: give price_data", f"{param}[price_data]", "parameter_missing")
    currency = str(price.get("currency", "")).lower()
    if currency not in CURRENCIES:
        raise invalid(f"Invalid currency: {currency}", f"{param}[price_data][currency]")
    product = price.get("product_data")
    if not isinstance(product, dict) or not product.get("name"):
        raise invalid("Missing required param", f"{param}[price_data][product_data][name]", "parameter_missing")
    unit = integer(price.get("unit_amount"), f"{param}[price_data][unit_amount]")
    quantity = integer(entry.get("quantity", "1"), f"{param}[quantity]")
    if unit < 0 or quantity < 1:
        raise invalid("This value must be positive", param, "parameter_invalid_integer")
    return {"currency": currency, "amount": unit * quantity, "quantity": quantity, "name": product["name"]}


def _expiry(values: dict[str, Any], now: int, shortest: int) -> int:
    if "expires_at" not in values:
        return now + LONGEST_SESSION_SECONDS
    at = integer(values["expires_at"], "expires_at")
    if not now + shortest <= at <= now + LONGEST_SESSION_SECONDS:
        text = f"The `expires_at` timestamp must be between {shortest} seconds and 24 hours from creation."
        raise invalid(text, "expires_at")
    return at


def _methods(allowed: list[str], currency: str, total: int) -> list[str]:
    possible = ["card", "twint"] if currency == "chf" and total <= TWINT_LIMIT else ["card"]
    methods = [method for method in possible if method in allowed or not allowed]
    if not methods:
        raise invalid("No payment method is left for this currency and amount", "allowed_payment_method_types")
    return methods


def _metadata(values: Any, param: str) -> dict[str, str]:
    if not values:
        return {}
    if not isinstance(values, dict) or len(values) > 50:
        raise invalid("metadata is a hash of at most 50 keys", param)
    for name, value in values.items():
        if not isinstance(value, str) or len(name) > 40 or len(value) > 500:
            raise invalid("metadata keys have at most 40 characters, values at most 500", f"{param}[{name}]")
    return dict(values)
