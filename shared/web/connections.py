"""Bounds the connections of a role below the level of requests: how many, how large a head, how long one may dawdle.

A connection too many is answered at once with 503 and Retry-After. The operator's probes are let through all the
same: a role that is busy must not be taken for dead.

Built on h11, whose buffer for a head that is not whole bounds it; httptools has no such bound.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.web.gate import RETRY_SECONDS, record_refused
from shared.web.problems import MEDIA_TYPE, TYPE_BASE, BadRequest, HeadTooLarge, Problem, RequestTimeout, Unavailable

HEAD_SECONDS: Final = 20.0
"""What a head may take to arrive, and what is left of a body that was refused."""
REFUSED_SECONDS: Final = 2.0
STALLED_MS: Final = 60_000
"""How long somebody may take nothing of what is sent to them: longer than a phone is without a network in a lift."""
HEAD_BYTES: Final = 16 * 1024
PROBES: Final = (b"GET /health/", b"GET /metrics")


def _answer(kind: type[Problem], detail: str, headers: Mapping[str, str]) -> bytes:
    """Return a whole answer in English, after which the connection is closed: the caller's language is not known."""
    body = (
        f'{{"type":"{TYPE_BASE}{kind.slug}","title":"{kind.title["en"]}","status":{kind.status},'
        f'"detail":"{detail}","instance":"/"}}'
    ).encode()
    fields = {
        **headers,
        "Content-Type": MEDIA_TYPE,
        "Content-Language": "en",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    first = f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}"
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in fields.items()), "", ""]).encode() + body


_FULL: Final = _answer(Unavailable, "Too many connections are open.", {"Retry-After": str(RETRY_SECONDS)})
_LATE: Final = _answer(RequestTimeout, "The head of the request has not arrived whole in time.", {})
_LARGE: Final = _answer(HeadTooLarge, f"Expected a head of up to {HEAD_BYTES // 1024} KiB.", {})
_BROKEN: Final = _answer(BadRequest, "Expected HTTP/1.1 (RFC 9112).", {})


def bounded(limit: int) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with at most `limit` connections at once, probes aside."""

    class Bounded(_Connection):
        most = limit

    return Bounded


class _Connection(H11Protocol):
    """uvicorn's protocol; at most `most` at once, probes aside."""

    most: int

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _end_when_stalled(transport)
        self.too_many = len(self.connections) > self.most
        self.patience: asyncio.TimerHandle | None = None
        self.wait(REFUSED_SECONDS if self.too_many else HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self.too_many and not data.startswith(PROBES):
            self.refuse("connections", _FULL)
            return
        self.too_many = False
        super().data_received(data)
        if not self.transport.is_closing():
            self.watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_waiting()
        super().connection_lost(exc)

    def watch(self) -> None:
        """Wait only so long for what belongs to no request under way: a head, or the rest of a refused body."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.stop_waiting()
        elif self.is_between_requests():
            self.stop_waiting()
            self.keep_alive()
        elif self.patience is None:
            self.wait(HEAD_SECONDS)

    def is_between_requests(self) -> bool:
        """Whether an answered request has come to its end and nothing of the next one has come."""
        return self.cycle is not None and self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    def keep_alive(self) -> None:
        """Keep the connection for a while, as uvicorn does after an answer; not so after a refused body's end."""
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def wait(self, seconds: float) -> None:
        self.patience = self.loop.call_later(seconds, self.give_up)

    def stop_waiting(self) -> None:
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None

    def give_up(self) -> None:
        """Close; who has begun with a head is told why. Browsers open connections that they never use."""
        self.patience = None
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self.refuse("slow", _LATE)
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in our words; in the middle of an answer there is nothing more to say."""
        # uvicorn calls this while it handles h11's error; the buffer's length would count what lies behind the mistake.
        is_large = getattr(sys.exception(), "error_status_hint", 400) == HeadTooLarge.status
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()
        elif is_large:
            self.refuse("large", _LARGE)
        else:
            self.refuse("broken", _BROKEN)

    def refuse(self, reason: str, answer: bytes) -> None:
        if not self.transport.is_closing():
            record_refused(reason)
            self.transport.write(answer)
            self.transport.close()


def _end_when_stalled(transport: asyncio.Transport) -> None:
    """Have the kernel end a connection whose other side takes nothing for long: tcp(7), TCP_USER_TIMEOUT."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MS)
