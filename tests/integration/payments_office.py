"""The payments service with its API served over loopback and the sandbox processor behind it; journals in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import uvicorn

from deploy.local.sandbox.psp import PspSettings
from deploy.local.sandbox.psp import create_app as create_psp
from deploy.local.sandbox.testing import free_port, serving
from services.payments.api import RAW_BODIES, routes
from services.payments.domain import payment_aggregate
from services.payments.handlers import Payments, on_payment_requested, on_step_cancelled
from services.payments.psp import StripeProvider
from services.payments.settings import PaymentsSettings
from services.payments.work import Desk, performers
from shared.contracts.dossier import PaymentMethod, PaymentRequested, StepCancelled
from shared.contracts.envelope import Envelope, Received
from shared.contracts.event import Event
from shared.environment import timestamp
from shared.journal import Journal
from shared.testing.environment import FakeEnvironment
from shared.testing.issuer import FakeIssuer
from shared.testing.store import MemoryJournalStore
from shared.testing.web import KEY
from shared.web.app import create_app
from shared.web.serve import Server
from shared.work import WorkLoop
from tests.unit.payments_samples import MemoryBooks
from tests.unit.payments_samples import settings as payments_settings

DOSSIER: Final = "dossier1"
SECRET: Final = "whsec_test"
STRIPE_KEY: Final = "sk_test_key"
PATIENCE_SECONDS: Final = 10.0


@dataclass
class Office:
    """The service at work: asks like intake, pays like a citizen, looks into the books."""

    psp: httpx.AsyncClient
    http: httpx.AsyncClient
    environment: FakeEnvironment
    issuer: FakeIssuer
    store: MemoryJournalStore
    payments: Payments
    loop: WorkLoop[Any]
    settings: PaymentsSettings
    sequence: int = 0
    requested: list[str] = field(default_factory=list)

    async def request(
        self, method: PaymentMethod = "card", amount: int = 4000, term: timedelta = timedelta(days=10)
    ) -> str:
        """Ask for a fee as intake does; return the payment's id."""
        asked = PaymentRequested(
            step="fee",
            amount=amount,
            currency="CHF",
            method=method,
            purpose="residence-certificate",
            language="fr",
            attempt=len(self.requested) + 1,
            pay_by=timestamp(self.environment.now() + term),
        )
        books = MemoryBooks(self.store)
        received = self._received(asked)
        await on_payment_requested(self.payments, books, self.settings.qr_tenant_no)(received)
        self.requested.append(received.envelope.id)
        return received.envelope.id

    async def cancel(self, payment: str) -> None:
        """Ask no longer."""
        cancelled = StepCancelled(step="fee", kind="payment", request=payment)
        await on_step_cancelled(self.payments)(self._received(cancelled))

    async def checkout(self, method: PaymentMethod = "card", **more: Any) -> tuple[str, str]:
        """Ask for a fee and have the page made; return payment and session."""
        payment = await self.request(method, **more)
        await self.work()
        found = await self.payments.state(payment)
        assert found is not None
        assert found.state.session is not None, found.state
        return payment, found.state.session

    async def work(self, later: timedelta = timedelta(0)) -> None:
        """Let time pass, then do everything that is due."""
        self.environment.advance(later)
        while await self.loop.start_due():
            await self.loop.settle()

    async def act(self, session: str, what: str, **body: Any) -> httpx.Response:
        """What the citizen does on the page: pay, decline, abandon."""
        return await self.psp.post(f"/sandbox/sessions/{session}/{what}", json=body)

    async def faults(self, **faults: Any) -> None:
        """Make the processor misbehave; nothing given: behave."""
        answer = await self.psp.put("/sandbox/faults", json=faults)
        assert answer.status_code == 200, answer.text

    async def moves(self) -> list[tuple[str, int]]:
        """Every movement of money in the processor's ledger."""
        entries = (await self.psp.get("/sandbox/ledger")).json()["entries"]
        return [(entry["kind"], entry["amount"]) for entry in entries]

    async def sessions(self) -> list[dict[str, Any]]:
        """Every checkout at the processor."""
        return list((await self.psp.get("/sandbox/sessions")).json()["sessions"])

    async def webhooks(self) -> list[dict[str, Any]]:
        """Every event of the processor with its deliveries."""
        return list((await self.psp.get("/sandbox/events")).json()["events"])

    async def delivered(self, times: int) -> None:
        """Wait until so many deliveries of webhooks were accepted; fails after 10 s."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = [delivery["state"] for told in await self.webhooks() for delivery in told["deliveries"]]
            if found.count("delivered") >= times:
                return
            assert time.monotonic() < deadline, found

    async def told(self, payment: str) -> list[Event]:
        """The events of a payment."""
        return [recorded.event for recorded in await self.payments.recorded(payment)]

    async def words(self, payment: str) -> list[str]:
        """The events of a payment by their words."""
        return [event.word for event in await self.told(payment)]

    async def until(self, payment: str, word: str) -> None:
        """Wait until a fact that comes by webhook is recorded; `word` is part of the event's type."""
        await self.eventually(lambda: any(word in event["type"] for event in self.store.documents[payment]["events"]))

    async def eventually(self, done: Callable[[], bool]) -> None:
        """Wait until something that happens over the wire has happened; fails after 10 s."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < deadline, "it never happened"
            await asyncio.sleep(0.02)

    def bearer(self, *scopes: str) -> dict[str, str]:
        """The header of somebody with these scopes."""
        return {"Authorization": f"Bearer {self.issuer.token('anna', scopes)}"}

    def _received(self, event: Event) -> Received:
        self.sequence += 1
        envelope = Envelope(
            id=f"{DOSSIER}:{self.sequence}",
            source="//dossierbus/emmen/intake",
            type=event.type,
            subject=DOSSIER,
            sequence=self.sequence,
            time=timestamp(self.environment.now()),
            tenant="emmen",
            partitionkey=DOSSIER,
            traceparent="",
            mac="",
        )
        return Received(envelope, event)


@asynccontextmanager
async def open_office(tmp_path: Path, **more: Any) -> AsyncIterator[Office]:
    """The service and its processor, each on a port of its own; `more` overrides settings."""
    port, api_port = free_port(), free_port()
    psp_settings = PspSettings(
        data_dir=tmp_path,
        http_port=port,
        stripe_api_key=STRIPE_KEY,
        stripe_webhook_secret=SECRET,
        webhook_url=f"http://127.0.0.1:{api_port}/v1/webhooks/stripe",
    )
    with serving(create_psp(psp_settings), port) as url:
        async with httpx.AsyncClient() as outward:
            office = _office(payments_settings(stripe_api_base=url, **more), outward, url, api_port)
            async with office.psp, office.http, _api(office, api_port):
                yield office


def _office(settings: PaymentsSettings, outward: httpx.AsyncClient, url: str, api_port: int) -> Office:
    # The processor lives by the machine's clock; ours starts there and is moved by hand.
    environment = FakeEnvironment(datetime.now(UTC))
    store = MemoryJournalStore()
    aggregate = payment_aggregate(settings.poll_first_seconds)
    payments: Payments = Journal(aggregate, store, environment, tenant="emmen", key=KEY)
    loop = WorkLoop(payments, performers(Desk(StripeProvider(settings, outward), environment, settings)), environment)
    return Office(
        psp=httpx.AsyncClient(base_url=url, timeout=10),
        http=httpx.AsyncClient(base_url=f"http://127.0.0.1:{api_port}", timeout=10),
        environment=environment,
        issuer=FakeIssuer(environment),
        store=store,
        payments=payments,
        loop=loop,
        settings=settings,
    )


@asynccontextmanager
async def _api(office: Office, port: int) -> AsyncIterator[None]:
    app = create_app(
        "Payments", "payments", settings=office.settings, verifier=office.issuer.verifier(), raw_bodies=RAW_BODIES
    )
    app.include_router(routes(office.payments, MemoryBooks(office.store), office.settings))
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False)
    server = Server(config, app.state.gate)
    running = asyncio.create_task(server.serve())
    await office.eventually(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        await running
