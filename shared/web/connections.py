"""Bounds the connections of a role below the level of requests: how many, and how long one may say nothing.

A connection too many is answered at once with 503 and Retry-After. The operator's probes are let through all the
same: a role that is busy must not be taken for dead.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from shared.web.gate import RETRY_SECONDS, record_refused
from shared.web.problems import MEDIA_TYPE, TYPE_BASE, Unavailable

FIRST_REQUEST_SECONDS: Final = 20.0
REFUSED_SECONDS: Final = 2.0
PROBES: Final = (b"GET /health/", b"GET /metrics")

_BODY: Final = (
    f'{{"type":"{TYPE_BASE}{Unavailable.slug}","title":"{Unavailable.title["en"]}","status":503,'
    '"detail":"Too many connections are open.","instance":"/"}'
).encode()
_FULL: Final = (
    f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: {RETRY_SECONDS}\r\nContent-Type: {MEDIA_TYPE}\r\n"
    f"Content-Language: en\r\nContent-Length: {len(_BODY)}\r\nConnection: close\r\n\r\n"
).encode() + _BODY


def bounded(limit: int) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with at most `limit` connections at once, probes aside."""

    class Bounded(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self.too_many = len(self.connections) > limit
            patience = REFUSED_SECONDS if self.too_many else FIRST_REQUEST_SECONDS
            self.silent = self.loop.call_later(patience, self.end_silence)

        def data_received(self, data: bytes) -> None:
            if self.too_many and not data.startswith(PROBES):
                self.refuse()
                return
            self.too_many = False
            super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            self.silent.cancel()
            super().connection_lost(exc)

        def refuse(self) -> None:
            if not self.transport.is_closing():
                record_refused("connections")
                self.transport.write(_FULL)
                self.transport.close()

        def end_silence(self) -> None:
            """Close a connection on which no whole request has come yet."""
            if self.cycle is None:
                self.transport.close()

    return Bounded
