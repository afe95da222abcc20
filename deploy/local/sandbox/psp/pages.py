"""The payment page that citizens see, in their language, usable by keyboard, screen reader and phone.

Takes card numbers of the test cards only, keeps none, and needs nothing from outside.
"""

from decimal import Decimal
from typing import Any

from babel.numbers import format_currency
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from deploy.local.sandbox.base import choose_language, page
from deploy.local.sandbox.psp import cards
from deploy.local.sandbox.psp.errors import StripeError
from deploy.local.sandbox.psp.processor import Processor
from deploy.local.sandbox.psp.texts import PAYMENT

_LOCALES = {"de": "de_CH", "fr": "fr_CH", "it": "it_CH", "en": "en_CH"}


def add_pages(app: FastAPI, processor: Processor) -> None:
    """Add `GET` and `POST /pay/{session}`."""

    def look_up(identifier: str) -> dict[str, Any] | None:
        with processor.store.transaction():
            try:
                return processor.session(identifier)
            except StripeError:
                return None

    @app.get("/pay/{identifier}")
    async def show(identifier: str, request: Request) -> Response:
        return _render(look_up(identifier), request)

    @app.post("/pay/{identifier}")
    async def submit(identifier: str, request: Request) -> Response:
        form = await request.form()
        method, number = str(form.get("method", "")), str(form.get("card_number", ""))
        session = look_up(identifier)
        if session is None or session["status"] != "open" or method not in session["payment_method_types"]:
            return _render(session, request)
        if method == "card" and not cards.well_formed(number):
            return _render(session, request, 422, "number_invalid")
        with processor.store.transaction():
            failed = processor.pay(identifier, method, cards.charge_card(number) if method == "card" else None)
        if failed:
            reason = "test_card_only" if failed.decline_code == "test_mode_live_card" else "declined"
            return _render(session, request, 402, reason)
        return RedirectResponse(_back(session), 303)


def _render(session: dict[str, Any] | None, request: Request, status: int = 200, problem: str = "") -> Response:
    wish = session["locale"] if session else None
    language = choose_language(wish, request.headers.get("accept-language"))
    text = PAYMENT[language]
    if session is None:
        return page("pay_closed.html", 404, language=language, text=text, heading=text["unknown"], back=None)
    if session["status"] == "complete":
        back = _back(session)
        return page("pay_closed.html", language=language, text=text, heading=text["already_paid"], back=back)
    if session["status"] == "expired":
        back = session["cancel_url"]
        return page("pay_closed.html", 410, language=language, text=text, heading=text["expired"], back=back)
    return page(
        "pay.html",
        status,
        language=language,
        text=text,
        session=session,
        amount=_amount(session["amount_total"], session["currency"], language),
        problem=text[problem] if problem else "",
    )


def _amount(minor_units: int, currency: str, language: str) -> str:
    return str(format_currency(Decimal(minor_units) / 100, currency.upper(), locale=_LOCALES[language]))


def _back(session: dict[str, Any]) -> str:
    """The success address with Stripe's placeholder filled in."""
    address = str(session["success_url"])
    for placeholder in ("{CHECKOUT_SESSION_ID}", "%7BCHECKOUT_SESSION_ID%7D"):
        address = address.replace(placeholder, session["id"])
    return address
