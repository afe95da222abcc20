"""Runs a role: the HTTP server and its background tasks on one loop, with one ending for all of them.

SIGTERM: stop accepting, cancel the background tasks, finish requests, close the lifespan. Exit codes: 0 asked to
stop, 1 a background task failed, 3 the start failed, 75 the broker came back empty and the role must start anew.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

import uvicorn
from fastapi import FastAPI

from shared.errors import BrokerReplaced
from shared.settings import CommonSettings

log = logging.getLogger(__name__)

Background: TypeAlias = Callable[[], Awaitable[None]]

EXIT_FAILED: Final = 1
EXIT_BROKER_REPLACED: Final = 75  # EX_TEMPFAIL of sysexits.h
GRACE_SECONDS: Final = 5


def serve(app: FastAPI, settings: CommonSettings, background: Sequence[Background] = ()) -> None:
    """Serve until SIGTERM or SIGINT, or until a background task fails; SystemExit with the code unless it is 0.

    Background tasks start once the lifespan has started and the port is open.
    """
    if code := asyncio.run(serve_async(app, settings, background)):
        raise SystemExit(code)


async def serve_async(app: FastAPI, settings: CommonSettings, background: Sequence[Background] = ()) -> int:
    """Serve on the running loop; return the exit code."""
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config, background)
    await server.serve()
    return server.exit_code


class Server(uvicorn.Server):
    """uvicorn's server that owns the background tasks and keeps the exit code."""

    def __init__(self, config: uvicorn.Config, background: Sequence[Background] = ()) -> None:
        super().__init__(config)
        self.exit_code = 0
        self._background = tuple(background)
        self._tasks: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, then start the background tasks."""
        await super().startup(sockets)
        self._tasks = [asyncio.create_task(self._run(task)) for task in self._background]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, cancel the background tasks, then let requests end and close the lifespan."""
        for server in self.servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().shutdown(sockets)

    async def _run(self, task: Background) -> None:
        try:
            await task()
        except BrokerReplaced:
            log.warning("broker_replaced", extra={"exit_code": EXIT_BROKER_REPLACED})
            self._end(EXIT_BROKER_REPLACED)
        except Exception:
            log.exception("background_failed", extra={"exit_code": EXIT_FAILED})
            self._end(EXIT_FAILED)

    def _end(self, code: int) -> None:
        self.exit_code = self.exit_code or code
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Asked to stop is a clean end: unlike uvicorn's own, this does not raise the signal again afterwards."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
