"""The handles for tests and traffic under `/sandbox/`: pay without a browser, read the books, forge webhooks."""

from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from deploy.local.sandbox.psp import cards
from deploy.local.sandbox.psp.objects import shown
from deploy.local.sandbox.psp.processor import Processor
from deploy.local.sandbox.psp.webhooks import Courier

_CANCELLED = cards.Decline("payment_method_provider_decline", "generic_decline", "The customer cancelled in the app.")


class Means(BaseModel):
    """How to pay: a test card number, or TWINT."""

    model_config = ConfigDict(extra="forbid")

    card: str = "4242424242424242"
    twint: bool = False


class Forgery(BaseModel):
    """An event to invent. `overrides` replace members of the session's real object."""

    model_config = ConfigDict(extra="forbid")

    session: str = ""
    type: str = "checkout.session.completed"
    how: Literal["wrong_secret", "unsigned", "stale", "tampered", "signed"] = "wrong_secret"
    overrides: dict[str, Any] = {}


def add_controls(app: FastAPI, processor: Processor, courier: Courier) -> None:
    """Add the `/sandbox/` routes of the processor."""
    _add_shortcuts(app, processor)
    _add_books(app, processor)

    @app.post("/sandbox/forge")
    async def forge(order: Forgery) -> dict[str, int]:
        body = shown(processor.session(order.session)) if order.session else {"id": "cs_test_invented"}
        paid = {"object": "checkout.session", "status": "complete", "payment_status": "paid"}
        return {"status": await courier.forge(order.type, body | paid | order.overrides, order.how)}

    @app.post("/sandbox/events/{identifier}/resend")
    async def resend(identifier: str) -> dict[str, str]:
        processor.store.add_delivery(identifier, 0)
        return {"event": identifier}


def _add_shortcuts(app: FastAPI, processor: Processor) -> None:
    def attempt(identifier: str, method: str, decline: cards.Decline | None) -> dict[str, Any]:
        with processor.store.transaction():
            failed = processor.pay(identifier, method, decline)
            session = shown(processor.session(identifier))
        return {"paid": failed is None, "decline_code": failed.decline_code if failed else None, "session": session}

    @app.post("/sandbox/sessions/{identifier}/pay")
    async def pay(identifier: str, means: Means) -> dict[str, Any]:
        if means.twint:
            return attempt(identifier, "twint", None)
        return attempt(identifier, "card", cards.charge_card(means.card))

    @app.post("/sandbox/sessions/{identifier}/decline")
    async def decline(identifier: str, means: Means | None = None) -> dict[str, Any]:
        if means and means.twint:
            return attempt(identifier, "twint", _CANCELLED)
        return attempt(identifier, "card", cards.GENERIC)

    @app.post("/sandbox/sessions/{identifier}/abandon")
    async def abandon(identifier: str) -> dict[str, Any]:
        with processor.store.transaction():
            return {"session": shown(processor.expire(identifier))}


def _add_books(app: FastAPI, processor: Processor) -> None:
    @app.get("/sandbox/ledger")
    async def ledger() -> dict[str, Any]:
        moves = processor.ledger()
        totals: dict[str, dict[str, int]] = {}
        for move in moves:
            sums = totals.setdefault(move["currency"], {"payment": 0, "refund": 0})
            sums[move["kind"]] += move["amount"]
        return {"entries": moves, "totals": totals}

    @app.get("/sandbox/sessions")
    async def sessions(status: str = "") -> dict[str, Any]:
        found = [shown(session) for session in processor.store.all("checkout.session")]
        return {"sessions": [session for session in found if status in ("", session["status"])]}

    @app.get("/sandbox/events")
    async def events() -> dict[str, Any]:
        return {"events": processor.store.events()}
