"""The roles of payments: `api` takes webhooks and bank files, `worker` takes requests and talks to the provider."""

import httpx

from services.payments.api import RAW_BODIES, routes
from services.payments.books import COLLECTION, open_payments
from services.payments.handlers import on_payment_requested, on_step_cancelled
from services.payments.ledger import StripeLedger
from services.payments.parity import FOLLOWERS, LedgerParity
from services.payments.psp import StripeProvider, client_of
from services.payments.settings import PaymentsSettings
from services.payments.work import Desk, performers
from shared.consumer import Handler
from shared.contracts.dossier import PaymentRequested, StepCancelled
from shared.contracts.event import Event
from shared.contracts.topics import INTAKE_EVENTS
from shared.runtime import Bus, run
from shared.web.app import create_app


async def _api(bus: Bus[PaymentsSettings]) -> int:
    app = create_app("Payments", "payments", settings=bus.settings, checks={"db": bus.ready}, raw_bodies=RAW_BODIES)
    app.include_router(routes(*await open_payments(bus), bus.settings))
    bus.operate(app, "payments")
    return await bus.serve(app)


async def _worker(bus: Bus[PaymentsSettings]) -> int:
    app = create_app("Payments worker", "payments", settings=bus.settings, checks={"db": bus.ready})
    payments, books = await open_payments(bus)
    subscriptions: dict[type[Event], Handler] = {
        PaymentRequested: on_payment_requested(payments, books, bus.settings.qr_tenant_no),
        StepCancelled: on_step_cancelled(payments),
    }
    async with httpx.AsyncClient() as http:
        bus.perform(payments, performers(Desk(StripeProvider(bus.settings, http), bus.environment, bus.settings)))
        bus.consume("payments", (INTAKE_EVENTS,), subscriptions)
        ledger = StripeLedger(client_of(bus.settings, http))
        bus.compare({COLLECTION: payments}, FOLLOWERS, LedgerParity(payments, ledger, bus.environment))
        return await bus.serve(app)


run("payments", PaymentsSettings, {"api": _api, "worker": _worker})
