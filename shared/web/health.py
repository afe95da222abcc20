"""Probes and metrics: `/health/live`, `/health/ready`, `/metrics`. They tell names of checks only, never messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from shared.auth import public
from shared.logs import error_types
from shared.web.gate import RETRY_SECONDS, Gate

log = logging.getLogger(__name__)

Checks: TypeAlias = Mapping[str, Callable[[], Awaitable[None]]]

CHECK_TIMEOUT_SECONDS: Final = 2.0


async def failed_checks(checks: Checks) -> list[str]:
    """The names of the checks that raise or take longer than 2 s, run side by side."""
    outcomes = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
    return [name for name, passed in zip(checks, outcomes, strict=True) if not passed]


async def _passes(name: str, check: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001 - any failure of a check means: not ready
        log.warning("check_failed", extra={"check": name, "error_type": error_types(error)})
        return False
    return True


def router(checks: Checks, gate: Gate) -> APIRouter:
    """The three routes, not in the OpenAPI document: they belong to the operator's network.

    Not ready is a role whose checks fail, that is not open yet, or that was told to stop.
    """
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(public("probes carry no personal data"))])

    @routes.get("/health/live")
    async def live() -> JSONResponse:
        return JSONResponse({"status": "up"})

    @routes.get("/health/ready")
    async def ready() -> JSONResponse:
        failed = [gate.state] if gate.state != "open" else await failed_checks(checks)
        if failed:
            return JSONResponse({"status": "down", "failed": failed}, 503, {"Retry-After": str(RETRY_SECONDS)})
        return JSONResponse({"status": "up", "checks": list(checks)})

    @routes.get("/metrics")
    async def metrics(request: Request) -> Response:
        # OpenMetrics to those who ask for it, as Prometheus does: only that format carries exemplars.
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(REGISTRY), headers={"Content-Type": content_type})

    return routes
