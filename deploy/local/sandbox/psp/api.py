"""The processor's HTTP side: the part of Stripe's API the product uses, with Stripe's keys, errors and idempotency."""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from deploy.local.sandbox.base import build_app
from deploy.local.sandbox.psp.control import add_controls
from deploy.local.sandbox.psp.errors import StripeError, fault_body, fingerprint, integer, invalid, items, parse_form
from deploy.local.sandbox.psp.objects import new_id, shown
from deploy.local.sandbox.psp.pages import add_pages
from deploy.local.sandbox.psp.processor import Processor, PspSettings
from deploy.local.sandbox.psp.webhooks import Courier

Values = dict[str, Any]


def create_app(settings: PspSettings) -> FastAPI:
    """The processor as an ASGI app; its books lie in `settings.data_dir`."""
    processor = Processor(settings)
    courier = Courier(processor)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(courier.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        processor.store.close()

    app = build_app("Sandbox payment processor", processor.faults, lifespan, fault_body)
    app.add_exception_handler(StripeError, _answer_error)
    _add_sessions(app, processor)
    _add_payments(app, processor)
    add_pages(app, processor)
    add_controls(app, processor, courier)

    @app.api_route("/v1/{rest:path}", methods=["GET", "POST", "DELETE"])
    async def unknown(rest: str, request: Request) -> JSONResponse:
        _authenticate(request, settings)
        raise StripeError(404, "invalid_request_error", f"Unrecognized request URL ({request.method}: /v1/{rest}).")

    return app


async def _answer_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, StripeError):
        raise error
    return JSONResponse(error.body, error.status, {"Request-Id": new_id("req")})


def _add_sessions(app: FastAPI, processor: Processor) -> None:
    @app.post("/v1/checkout/sessions")
    async def create(request: Request) -> JSONResponse:
        return await _write(request, processor, processor.open_session)

    @app.get("/v1/checkout/sessions")
    async def list_sessions(request: Request) -> JSONResponse:
        values = _read(request, processor)
        intent = values.get("payment_intent")
        found = processor.store.of_intent("checkout.session", intent) if intent else None
        return _page(processor.store.all("checkout.session") if found is None else found, values, request)

    @app.get("/v1/checkout/sessions/{identifier}")
    async def retrieve(identifier: str, request: Request) -> JSONResponse:
        values = _read(request, processor)
        with processor.store.transaction():
            session = processor.session(identifier)
        return _answer(_expanded(session, values, processor))

    @app.post("/v1/checkout/sessions/{identifier}/expire")
    async def expire(identifier: str, request: Request) -> JSONResponse:
        return await _write(request, processor, lambda _: processor.expire(identifier))


def _add_payments(app: FastAPI, processor: Processor) -> None:
    @app.get("/v1/payment_intents/{identifier}")
    async def retrieve_intent(identifier: str, request: Request) -> JSONResponse:
        values = _read(request, processor)
        return _answer(_expanded(processor.intent(identifier), values, processor))

    @app.post("/v1/refunds")
    async def refund(request: Request) -> JSONResponse:
        return await _write(request, processor, processor.refund)

    @app.get("/v1/refunds")
    async def list_refunds(request: Request) -> JSONResponse:
        values = _read(request, processor)
        refunds = processor.store.all("refund")
        wanted = {name: values[name] for name in ("payment_intent", "charge") if name in values}
        return _page([r for r in refunds if all(r[name] == value for name, value in wanted.items())], values, request)

    @app.get("/v1/refunds/{identifier}")
    async def retrieve_refund(identifier: str, request: Request) -> JSONResponse:
        _read(request, processor)
        found = processor.store.find(identifier, "refund")
        if found is None:
            raise StripeError(404, "invalid_request_error", f"No such refund: '{identifier}'", code="resource_missing")
        return _answer(found)


async def _write(request: Request, processor: Processor, action: Callable[[Values], Values]) -> JSONResponse:
    """Carry out a POST once per Idempotency-Key; the key, the change and its event are one transaction."""
    _authenticate(request, processor.settings)
    values = parse_form((await request.body()).decode())
    key, print_ = request.headers.get("idempotency-key"), fingerprint(request.url.path, values)
    with processor.store.transaction():
        before = processor.store.recall(key) if key else None
        if before:
            return _replay(before, print_)
        expand = {"expand": values.pop("expand", None)}
        body = _expanded(action(values), expand, processor)
        if key:
            processor.store.remember(key, print_, body)
    return _answer(body)


def _replay(before: tuple[str, Values], print_: str) -> JSONResponse:
    if before[0] != print_:
        text = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            "Try using a key other than the one you sent if you meant to execute a different request."
        )
        raise StripeError(400, "idempotency_error", text)
    return _answer(before[1], {"Idempotent-Replayed": "true"})


def _read(request: Request, processor: Processor) -> Values:
    _authenticate(request, processor.settings)
    return parse_form(request.url.query)


def _authenticate(request: Request, settings: PspSettings) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode(), settings.stripe_api_key.encode()):
        raise StripeError(401, "invalid_request_error", "Invalid API Key provided.", code="api_key_invalid")


def _expanded(body: Values, values: Values, processor: Processor) -> Values:
    """The object with `expand[]` paths such as `payment_intent.latest_charge` replaced by what they name."""
    answer = shown(body)
    for path in items(values.get("expand"), "expand"):
        name, _, deeper = path.partition(".")
        kinds = {"payment_intent": "payment_intent", "latest_charge": "charge", "charge": "charge"}
        if name not in kinds or name not in answer:
            raise invalid(f"This property cannot be expanded ({name}).", "expand")
        inner = processor.store.find(answer[name], kinds[name]) if isinstance(answer[name], str) else None
        if inner:
            answer[name] = _expanded(inner, {"expand": {"0": deeper} if deeper else None}, processor)
    return answer


def _page(found: list[Values], values: Values, request: Request) -> JSONResponse:
    """Stripe's list: newest first, `limit` (1-100, default 10), `starting_after`."""
    limit = integer(values.get("limit", "10"), "limit")
    if not 1 <= limit <= 100:
        raise invalid("limit must be between 1 and 100", "limit")
    after = values.get("starting_after")
    start = next((n + 1 for n, body in enumerate(found) if body["id"] == after), 0) if after else 0
    data = [shown(body) for body in found[start : start + limit]]
    more = len(found) > start + limit
    return _answer({"object": "list", "data": data, "has_more": more, "url": request.url.path})


def _answer(body: Values, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body, headers={"Request-Id": new_id("req")} | (headers or {}))
