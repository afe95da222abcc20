"""Run a stand-in inside a test: a real server on a free loopback port, in a thread, while a `with` block lasts."""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, islice

import uvicorn
from fastapi import FastAPI

_START_SECONDS = 10.0
_PORTS = range(17_000, 20_000)
"""Below the ports that Linux gives to connections, or any client could take one before its listener does."""
_candidates = cycle(random.sample(_PORTS, len(_PORTS)))


def free_port() -> int:
    """A loopback TCP port that is free right now, another one at every call. Raises OSError when none is."""
    for port in islice(_candidates, len(_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"No port between {_PORTS.start} and {_PORTS.stop - 1} is free.")


class _Server(uvicorn.Server):
    """A server that says when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


@contextmanager
def serving(app: FastAPI, port: int) -> Iterator[str]:
    """Serve `app` on `port`; yields its base URL. Raises RuntimeError when it does not start within 10 s."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
    server = _Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    if not server.serving.wait(_START_SECONDS):
        raise RuntimeError(f"the stand-in did not start on port {port}")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(_START_SECONDS)
