"""One call gives a role its FastAPI application with everything that all roles share. It knows no service."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

import httpx
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import RouteContext, iter_route_contexts
from fastapi.telemetry import TelemetryConfig

from shared.auth import TokenVerifier, public
from shared.environment import Environment, SystemEnvironment
from shared.settings import CommonSettings
from shared.web import handlers, health
from shared.web.body import RawBodies, StrictJsonBody
from shared.web.gate import Admission, Gate
from shared.web.observe import Observe
from shared.web.problems import MEDIA_TYPE

log = logging.getLogger(__name__)

Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "Problem details, RFC 9457, in the language of Accept-Language (de, fr, it, en).",
    "type": "object",
    "required": ["type", "title", "status", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail", "code"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer, RFC 6901"},
                    "detail": {"type": "string"},
                    "code": {"type": "string"},
                    "in": {"type": "string", "enum": ["query", "path", "header", "cookie"]},
                },
            },
        },
    },
}
_PROBLEM_RESPONSE: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "Problem",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


# FastAPI's own spans and logs carry addresses, queries and exception messages; ours carry the route's template.
_OWN_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
        return super().openapi()


def create_app(
    title: str,
    service: str,
    *,
    settings: CommonSettings,
    lifespan: Lifespan | None = None,
    checks: health.Checks | None = None,
    environment: Environment | None = None,
    verifier: TokenVerifier | None = None,
    raw_bodies: RawBodies | None = None,
) -> FastAPI:
    """The application of a role: limits, problems, strict JSON, probes, OpenAPI at `/openapi.json`, log and traces.

    `checks` name what `/health/ready` asks; `raw_bodies` the routes that read other bodies than strict JSON; tests
    give their own `environment` and `verifier`.
    """
    http = httpx.AsyncClient()
    app = _App(
        title=title,
        version="1",
        lifespan=_closing(http, lifespan),
        responses=_PROBLEM_RESPONSE,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_OWN_TELEMETRY,
    )
    app.state.verifier = verifier or TokenVerifier(
        settings.oidc_issuer, settings.oidc_audience, http, environment or SystemEnvironment()
    )
    gate = app.state.gate = Gate(settings.http_requests, settings.http_requests_per_caller)
    handlers.install(app)
    app.include_router(health.router(checks or {}, gate))
    _serve_openapi(app)
    app.add_middleware(StrictJsonBody, raw_bodies=raw_bodies, seconds=settings.http_body_seconds)
    app.add_middleware(Admission, gate=gate)
    app.add_middleware(Observe, owner=app, service=service, strict_transport=settings.environment == "production")
    return app


def api_routes(app: FastAPI) -> Iterator[RouteContext]:
    """Every route of the application with its full path, also those of included routers."""
    return iter_route_contexts(app.routes)


def _serve_openapi(app: FastAPI) -> None:
    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(public("the API's description"))])
    async def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())


def _closing(http: httpx.AsyncClient, inner: Lifespan | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with http:
            if inner is None:
                yield
                return
            try:
                async with inner(app):
                    yield
            except Exception:
                # The server would only show the first line of a traceback as text.
                log.exception("lifespan_failed")
                raise

    return lifespan
