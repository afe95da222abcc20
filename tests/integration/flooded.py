"""What floods a role in tests: routes that take large bodies and give large answers, and raw connections to it."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Depends, FastAPI
from starlette.responses import Response

from shared.auth import public
from shared.web import connections

LARGE_ANSWER = 16 * 1024 * 1024
TAKE_SECONDS = 0.3
HEAD_SECONDS = 1.0
STALLED_MS = 500


def prepare(app: FastAPI) -> None:
    """Add routes to a role and shorten its patience, in the role's own process."""
    vars(connections).update(HEAD_SECONDS=HEAD_SECONDS, STALLED_MS=STALLED_MS)
    begun = 0

    @app.post("/take", dependencies=[Depends(public("a test"))])
    async def take() -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(TAKE_SECONDS)

    @app.get("/taken", dependencies=[Depends(public("a test"))])
    async def taken() -> int:
        return begun

    @app.get("/large", dependencies=[Depends(public("a test"))])
    async def large() -> Response:
        return Response(b"x" * LARGE_ANSWER, media_type="application/octet-stream")


@contextmanager
def connected(base: str, count: int = 1, receive_bytes: int | None = None) -> Iterator[list[socket.socket]]:
    """Open raw connections, with a small window to receive if wanted."""
    opened = []
    try:
        for _ in range(count):
            one = socket.socket()
            opened.append(one)
            if receive_bytes is not None:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            one.settimeout(10)
            one.connect(("127.0.0.1", int(base.rpartition(":")[2])))
        yield opened
    finally:
        for one in opened:
            one.close()


def told(connection: socket.socket) -> str:
    """Read until the role closes the connection."""
    received = b""
    while more := connection.recv(65_536):
        received += more
    return received.decode()
