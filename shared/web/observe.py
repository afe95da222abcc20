"""Around each request: one span, one access log line, metrics, security headers, and the last catch of errors.

Pure ASGI, so that streams (SSE) flow. It never notes a path, a query, a header or a body: the route's template only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from re import Pattern
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.metrics import counter, histogram
from shared.telemetry import exemplar, span_from
from shared.web.handlers import unhandled

log = logging.getLogger("dossierbus.access")

REQUESTS = counter("dossierbus_http_requests_total", "Answered requests.", ("service", "method", "route", "status"))
SECONDS = histogram(
    "dossierbus_http_request_seconds", "Time to the start of the answer.", ("service", "method", "route")
)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNWATCHED: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
_SECURITY: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Set unless a route has set its own, as a page with styles must."""

_STRICT_TRANSPORT: Final = {"Strict-Transport-Security": "max-age=31536000"}


class Observe:
    """The outermost middleware of ours."""

    def __init__(self, app: ASGIApp, owner: FastAPI, service: str, *, strict_transport: bool) -> None:
        self._app = app
        self._owner = owner
        self._service = service
        self._headers = {**_SECURITY, **(_STRICT_TRANSPORT if strict_transport else {})}
        self._templates: dict[Any, str] = {}
        self._patterns: Sequence[tuple[Pattern[str], str]] = ()
        self._known = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(send, self._headers)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        if scope["path"] in _UNWATCHED:
            await self._answer(scope, receive, exchange)
            return
        parent = Headers(scope=scope).get("traceparent")
        with span_from(parent, method, SpanKind.SERVER, **{"http.request.method": method}) as span:
            try:
                await self._answer(scope, receive, exchange)
            finally:
                self._record(span, method, self._template(scope), exchange)

    async def _answer(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:  # the last catch: the server above would log the message, which may hold data
            response = unhandled(error, scope)
            if exchange.status:
                raise
            await response(scope, receive, exchange.send)

    def _record(self, span: Span, method: str, route: str, exchange: _Exchange) -> None:
        status = exchange.status or 499  # nginx's code for: the caller went away before the answer began
        seconds = exchange.seconds()
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        REQUESTS.labels(self._service, method, route, str(status)).inc()
        SECONDS.labels(self._service, method, route).observe(seconds, exemplar())
        fields = {"method": method, "route": route, "status": status, "duration_ms": round(seconds * 1000, 1)}
        log.info("request", extra=fields)

    def _template(self, scope: Scope) -> str:
        """The route's template; of a request that was sent away before it was routed, the one that it asked for."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return next((template for pattern, template in self._asked() if pattern.match(scope["path"])), "unmatched")
        if endpoint not in self._templates:
            self._templates = dict(_templates(self._owner))
        return self._templates.get(endpoint, "unmatched")

    def _asked(self) -> Sequence[tuple[Pattern[str], str]]:
        if len(self._owner.routes) != self._known:
            self._known = len(self._owner.routes)
            self._patterns = [(compile_path(template)[0], template) for _, template in _templates(self._owner)]
        return self._patterns


class _Exchange:
    """Watches one answer: when it started, with which status; adds the security headers."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self._send = send
        self._headers = headers
        self._began = time.perf_counter()
        self._started: float | None = None
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._started = time.perf_counter()
            present = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                present.setdefault(name, value)
        await self._send(message)

    def seconds(self) -> float:
        return (self._started or time.perf_counter()) - self._began


def _templates(app: FastAPI) -> Iterator[tuple[Any, str]]:
    for context in iter_route_contexts(app.routes):
        if context.endpoint is not None and context.path is not None:
            yield context.endpoint, context.path
