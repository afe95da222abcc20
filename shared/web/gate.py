"""Who is let in: nobody before the role is open, a bounded number at once, a bounded number for one caller.

What is not let in is told when to come back, before its body is read. Probes and metrics are always let in. While
the role leaves, answers close their connections and endless streams end, so that callers go on with another replica.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.language import texts
from shared.metrics import counter
from shared.web.body import MAX_BODY_BYTES
from shared.web.handlers import problem_response
from shared.web.problems import Problem, TooManyRequests, Unavailable

State = Literal["opening", "open", "leaving"]

UNGUARDED: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
BODY_BYTES: Final = 32 * MAX_BODY_BYTES
"""What the bodies of all requests under way may take together, as announced."""
RETRY_SECONDS: Final = 2

_refused = counter("dossierbus_http_refused_total", "Requests sent away before they were read.", ["reason"])
_BUSY = texts(
    "Zurzeit sind zu viele Anfragen unterwegs.",
    "Trop de requêtes sont en cours.",
    "Troppe richieste sono in corso.",
    "Too many requests are under way.",
)
_CALLER_BUSY = texts(
    "Von Ihnen sind schon zu viele Anfragen gleichzeitig unterwegs.",
    "Trop de vos requêtes sont déjà en cours en même temps.",
    "Troppe sue richieste sono già in corso contemporaneamente.",
    "Too many of your requests are already under way at once.",
)


def record_refused(reason: str) -> None:
    """Count who was sent away: opening, busy, bodies, caller; or as a connection: connections, slow, large, broken."""
    _refused.labels(reason=reason).inc()


@dataclass
class Gate:
    """Counts who is inside. `requests`: at most so many at once; `per_caller`: of them, with one access token."""

    requests: int
    per_caller: int
    state: State = "open"
    inside: int = 0
    body_bytes: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    _callers: Counter[bytes] = field(default_factory=Counter)

    def leave(self) -> None:
        """Not ready any more: whoever asks is still answered, but told to ask elsewhere next time."""
        self.state = "leaving"
        self.left.set()

    def refusal(self, caller: bytes, size: int) -> tuple[str, Problem] | None:
        """Return why a request is not let in, for the metric and for the caller; None lets it in."""
        if self.state == "opening":
            return "opening", Unavailable(retry_after_seconds=RETRY_SECONDS)
        if self.inside >= self.requests:
            return "busy", Unavailable(_BUSY, retry_after_seconds=RETRY_SECONDS)
        if self.body_bytes + size > BODY_BYTES:
            return "bodies", Unavailable(_BUSY, retry_after_seconds=RETRY_SECONDS)
        if caller and self._callers[caller] >= self.per_caller:
            return "caller", TooManyRequests(_CALLER_BUSY, headers={"Retry-After": str(RETRY_SECONDS)})
        return None

    @contextmanager
    def entered(self, caller: bytes, size: int) -> Iterator[_Stay]:
        """Count a request while it is inside."""
        stay = _Stay(self, caller, size)
        self.inside += 1
        self.body_bytes += size
        self._callers[caller] += 1
        try:
            yield stay
        finally:
            stay.end()

    def forget(self, caller: bytes, size: int) -> None:
        """Count a request no longer."""
        self.inside -= 1
        self.body_bytes -= size
        self._callers[caller] -= 1
        if self._callers[caller] <= 0:
            del self._callers[caller]


@dataclass
class _Stay:
    gate: Gate
    caller: bytes
    size: int
    ended: bool = False

    def end(self) -> None:
        """Give the place back, once. A stream does so when it begins: it is bounded by its connection."""
        if not self.ended:
            self.ended = True
            self.gate.forget(self.caller, self.size)


class Admission:
    """Lets requests in or sends them away; a pure ASGI middleware."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or send away."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller, size = (b"", 0) if scope["path"] in UNGUARDED else _weight(scope)
        refusal = None if scope["path"] in UNGUARDED else self._gate.refusal(caller, size)
        if refusal is not None:
            reason, problem = refusal
            record_refused(reason)
            await problem_response(problem, scope)(scope, receive, send)
            return
        with self._gate.entered(caller, size) as stay:
            exchange = _Exchange(self._gate, stay, receive, send)
            # Only what is read without end must hear that the role leaves; bodies are read as they come.
            listen = exchange.receive if scope["method"] == "GET" else receive
            await self._app(scope, listen, exchange.send)
            await exchange.finish()


class _Exchange:
    """Watches one answer: whether it is a stream, and whether it is to close its connection."""

    def __init__(self, gate: Gate, stay: _Stay, receive: Receive, send: Send) -> None:
        self._gate, self._stay, self._receive, self._send = gate, stay, receive, send
        self._streaming = self._open = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            self._streaming = headers.get("content-type", "").startswith("text/event-stream")
            self._open = True
            if self._gate.state == "leaving":
                headers["Connection"] = "close"
            if self._streaming:
                self._stay.end()
        elif message["type"] == "http.response.body":
            self._open = message.get("more_body", False)
        await self._send(message)

    async def receive(self) -> Message:
        """The next message; for an endless stream the caller is gone once the role leaves."""
        coming = asyncio.ensure_future(self._receive())
        leaving = asyncio.ensure_future(self._gate.left.wait())
        try:
            await asyncio.wait({coming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if self._streaming and not coming.done():
                return {"type": "http.disconnect"}
            return await coming
        finally:
            leaving.cancel()
            coming.cancel()

    async def finish(self) -> None:
        """End a stream that was broken off in order, so that its reader sees an end and no failure."""
        if self._streaming and self._open and self._gate.state == "leaving":
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _weight(scope: Scope) -> tuple[bytes, int]:
    """Return who asks (nothing for the anonymous) and how many bytes come; a body without a length counts fully."""
    headers = Headers(scope=scope)
    token = headers.get("authorization", "")
    caller = blake2b(token.encode("latin-1", "replace"), digest_size=16).digest() if token else b""
    length = headers.get("content-length", "")
    if length.isdecimal():
        return caller, min(int(length[:12]), MAX_BODY_BYTES)
    return caller, MAX_BODY_BYTES if "transfer-encoding" in headers else 0
