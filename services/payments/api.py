"""The HTTP side of payments: Stripe's webhooks, bank files, and what operators and case workers may look up."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request

from services.payments import meters
from services.payments.bank import NAMESPACE, UnreadableFile, read_credits
from services.payments.books import Books
from services.payments.handlers import Payments, book_credits, record_notice
from services.payments.settings import PaymentsSettings
from services.payments.views import (
    FILE_ERRORS,
    SIGNATURE,
    BankFileAnswer,
    PaymentView,
    Received,
    SignatureInvalid,
    entry,
    view,
)
from services.payments.webhooks import Forged, read_webhook
from shared.auth import Caller, public, requires
from shared.relay import dossier_of
from shared.web.body import RawBodies
from shared.web.pages import Cursor, Limit, Page, read_cursor, write_cursor
from shared.web.problems import FieldProblem, Invalid, NotFound

WEBHOOK_PATH: Final = "/v1/webhooks/stripe"
BANK_PATH: Final = "/v1/bank-files"
RAW_BODIES: Final[RawBodies] = {
    WEBHOOK_PATH: ("application/json",),
    BANK_PATH: ("application/xml", "text/xml"),
}

Operator = Annotated[Caller, Depends(requires("operator"))]
Staff = Annotated[Caller, Depends(requires("operator", "caseworker"))]
_SIGNED: Final = "authenticated by Stripe's signature over the raw body"


def routes(payments: Payments, books: Books, settings: PaymentsSettings) -> APIRouter:
    """Return the routes of payments."""
    router = APIRouter(prefix="/v1", tags=["payments"])
    _add_webhook(router, payments, settings)
    _add_bank_files(router, payments, books)
    _add_reading(router, payments, settings)
    return router


def _add_webhook(router: APIRouter, payments: Payments, settings: PaymentsSettings) -> None:
    secret = settings.stripe_webhook_secret.get_secret_value()

    @router.post(
        "/webhooks/stripe",
        dependencies=[Depends(public(_SIGNED))],
        openapi_extra=_body("application/json", {"type": "object"}),
        summary="Take an event from Stripe",
    )
    async def stripe_webhook(
        request: Request, signature: Annotated[str | None, Header(alias="Stripe-Signature", max_length=2000)] = None
    ) -> Received:
        """Record what Stripe tells; an event that is told again does nothing."""
        try:
            notice = read_webhook(await request.body(), signature, secret)
        except Forged:
            meters.record_webhook("refused")
            raise SignatureInvalid(SIGNATURE) from None
        outcome = await record_notice(payments, notice)
        meters.record_webhook(outcome)
        return Received.model_validate({"outcome": outcome})


def _add_bank_files(router: APIRouter, payments: Payments, books: Books) -> None:
    @router.post(
        "/bank-files",
        openapi_extra=_body("application/xml", {"type": "string", "description": NAMESPACE}),
        summary="Book a bank's credit notification",
    )
    async def bank_file(request: Request, caller: Operator) -> BankFileAnswer:
        """Match the credits of a camt.054.001.08; sending a file again books nothing twice."""
        try:
            found = read_credits(await request.body())
        except UnreadableFile as unreadable:
            wrong = FieldProblem(unreadable.pointer, unreadable.code, FILE_ERRORS[unreadable.code])
            raise Invalid(errors=[wrong]) from None
        return BankFileAnswer(entries=[entry(matched) for matched in await book_credits(payments, books, found)])


def _add_reading(router: APIRouter, payments: Payments, settings: PaymentsSettings) -> None:
    @router.get("/payments", summary="List the payments of a dossier")
    async def list_payments(
        caller: Staff,
        dossier: Annotated[str, Query(min_length=1, max_length=100, pattern=r"^[0-9A-Za-z_-]+$")],
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[PaymentView]:
        """Return the attempts to collect a dossier's fee, in the order of their ids."""
        scope = f"payments/{dossier}"
        position = read_cursor(settings.hash_key, scope, cursor)
        after = str(position[0]) if position else f"{dossier}:"
        subjects = await payments.store.subjects(after, limit + 1)
        own = [subject for subject in subjects if dossier_of(subject) == dossier]
        shown = [outcome for subject in own[:limit] if (outcome := await payments.state(subject)) is not None]
        more = write_cursor(settings.hash_key, scope, (own[limit - 1],)) if len(own) > limit else None
        return Page(items=[view(outcome, settings) for outcome in shown], next=more)

    @router.get("/payments/{payment}", summary="Show a payment")
    async def show_payment(
        caller: Staff, payment: Annotated[str, Path(max_length=120, description="<dossier>:<number>")]
    ) -> PaymentView:
        """Return one attempt to collect a fee."""
        outcome = await payments.state(payment)
        if outcome is None:
            raise NotFound
        return view(outcome, settings)


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}
