"""A running sandbox processor for tests: Stripe's client for it, and a receiver that verifies its webhooks."""

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import stripe
from fastapi import FastAPI, Request, Response
from stripe import StripeClient

from deploy.local.sandbox.psp import PspSettings, create_app
from deploy.local.sandbox.testing import free_port, serving

SECRET = "whsec_test"
KEY = "sk_test_key"


@dataclass
class Inbox:
    """A webhook receiver: keeps raw deliveries and answers with `status`."""

    status: int = 200
    deliveries: list[tuple[bytes, str]] = field(default_factory=list)
    changed: threading.Event = field(default_factory=threading.Event)

    def app(self) -> FastAPI:
        """The receiver as a real server would be."""
        app = FastAPI()

        @app.post("/hook")
        async def receive(request: Request) -> Response:
            self.deliveries.append((await request.body(), request.headers.get("stripe-signature", "")))
            self.changed.set()
            return Response(status_code=self.status)

        return app

    def events(self) -> list[stripe.Event]:
        """The deliveries so far, each verified by Stripe's own code."""
        return [stripe.Webhook.construct_event(body, signature, SECRET) for body, signature in self.deliveries]

    def wait_for(self, done: Callable[[list[stripe.Event]], bool]) -> list[stripe.Event]:
        """The events once `done` holds for them; fails after 10 s."""
        deadline = time.monotonic() + 10
        while not done(self.events()):
            assert time.monotonic() < deadline, [event.type for event in self.events()]
            self.changed.wait(0.2)
            self.changed.clear()
        return self.events()


@dataclass
class Sandbox:
    """A running processor, Stripe's client for it, and what it delivered."""

    url: str
    stripe: StripeClient
    control: httpx.Client
    inbox: Inbox

    async def session(self, amount: int = 4000, **changes: Any) -> Any:
        """A checkout session as the payments service would open it."""
        line = {
            "price_data": {"currency": "chf", "unit_amount": amount, "product_data": {"name": "Hundesteuer 2026"}},
            "quantity": 1,
        }
        options = {"idempotency_key": changes.pop("key")} if "key" in changes else {}
        params: dict[str, Any] = {
            "mode": "payment",
            "line_items": [line],
            "success_url": "http://127.0.0.1:9/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:9/cancelled",
            "client_reference_id": "payment-1",
            "metadata": {"dossier": "dossier-1"},
            "locale": "de",
        }
        return await self.stripe.v1.checkout.sessions.create_async({**params, **changes}, options)  # type: ignore[arg-type]

    def act(self, session: str, what: str, **body: Any) -> httpx.Response:
        """One of the shortcuts: pay, decline, abandon."""
        return self.control.post(f"/sandbox/sessions/{session}/{what}", json=body)

    def entries(self) -> list[dict[str, Any]]:
        """The ledger."""
        return list(self.control.get("/sandbox/ledger").json()["entries"])


@asynccontextmanager
async def stripe_client(key: str, url: str) -> AsyncIterator[StripeClient]:
    """Stripe's own client with that key, closed afterwards."""
    connection = stripe.HTTPXClient()
    yield StripeClient(key, base_addresses={"api": url}, max_network_retries=0, http_client=connection)
    await connection.close_async()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A processor with a webhook receiver, both on the loopback interface."""
    inbox, port, hook_port = Inbox(), free_port(), free_port()
    settings = PspSettings(
        data_dir=tmp_path,
        http_port=port,
        stripe_api_key=KEY,
        stripe_webhook_secret=SECRET,
        webhook_url=f"http://127.0.0.1:{hook_port}/hook",
        min_expires_seconds=1,
    )
    with serving(inbox.app(), hook_port), serving(create_app(settings), port) as url:
        async with stripe_client(KEY, url) as client:
            with httpx.Client(base_url=url, timeout=10) as control:
                yield Sandbox(url, client, control, inbox)
