"""Runs a role: the HTTP server and its background tasks on one loop, with one ending for all of them.

Start: open the port, refuse requests until the role has opened, then start the background tasks.
SIGTERM: not ready; take no new work and end what is under way, beside the requests; stop accepting, finish requests,
flush, cancel the background tasks, close the lifespan. Each of these is bounded, see `longest_stop`. Exit codes: 0
asked to stop, 1 a background task failed, 3 the start failed, 75 the broker came back empty: the role must start anew.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

from shared.errors import BrokerReplaced
from shared.phases import Background, Phases
from shared.settings import CommonSettings
from shared.web.connections import HEAD_BYTES, bounded
from shared.web.gate import Gate

log = logging.getLogger(__name__)

EXIT_FAILED: Final = 1
EXIT_BROKER_REPLACED: Final = 75  # EX_TEMPFAIL of sysexits.h
LEAVE_SECONDS: Final = 12.0
GRACE_SECONDS: Final = 8
GARBAGE_THRESHOLD: Final = 2_000
"""New objects between two looks for garbage. At 20,000 a slow role kept an hour's garbage and served no faster."""
FLUSH_SECONDS: Final = 4.0
CANCEL_SECONDS: Final = 9.0
"""What a cancelled background task may take: Faust stops in this time."""
DISCONNECT_SECONDS: Final = 5.0
"""Closing the connections to Kafka and MongoDB and sending the last spans."""
KEEP_ALIVE_SECONDS: Final = 65
"""Longer than proxies keep an idle connection (nginx: 60), so that none sends into one that is just being closed."""


def longest_stop(drain_seconds: float) -> float:
    """Seconds from SIGTERM to the end of the process, at most; whoever kills must wait longer."""
    beside = max(LEAVE_SECONDS, drain_seconds + GRACE_SECONDS)
    return beside + FLUSH_SECONDS + CANCEL_SECONDS + DISCONNECT_SECONDS


def serve(
    app: FastAPI, settings: CommonSettings, background: Sequence[Background] = (), phases: Phases | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, or until a background task fails; SystemExit with the code unless it is 0.

    Background tasks start once the lifespan has started, the port is open and the role has opened.
    """
    if code := asyncio.run(serve_async(app, settings, background, phases)):
        raise SystemExit(code)


async def serve_async(
    app: FastAPI, settings: CommonSettings, background: Sequence[Background] = (), phases: Phases | None = None
) -> int:
    """Serve on the running loop; return the exit code. `app` is one that `create_app` made."""
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        http=bounded(settings.http_connections),
        h11_max_incomplete_event_size=HEAD_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    server = Server(config, app.state.gate, background, phases, settings.drain_seconds)
    await server.serve()
    return server.exit_code


def settle_garbage() -> None:
    """Look for garbage less often, and never in what was made while starting, which stays until the end.

    Nearly all that a request leaves is freed by reference counting, about a hundred objects a dossier are in cycles;
    Python's default looks for them after every 700 new objects, now and then through all that was made at the start.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 10, 10)


class Server(uvicorn.Server):
    """uvicorn's server that owns the phases and the background tasks, and keeps the exit code."""

    def __init__(
        self,
        config: uvicorn.Config,
        gate: Gate,
        background: Sequence[Background] = (),
        phases: Phases | None = None,
        drain_seconds: float = 0.0,
    ) -> None:
        super().__init__(config)
        self.exit_code = 0
        self._gate = gate
        self._background = tuple(background)
        self._phases = phases or Phases()
        self._drain_seconds = drain_seconds
        self._tasks: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, then the role, then start the background tasks."""
        self._gate.state = "opening"
        await super().startup(sockets)
        settle_garbage()
        self._tasks = [asyncio.create_task(self._run(self._begin))]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Leave in order if asked to; after a failure at once, publishing nothing more."""
        self._gate.leave()
        if self.exit_code == 0:
            leaving = asyncio.create_task(_within(LEAVE_SECONDS, "leave", self._phases.leave))
            await asyncio.sleep(self._drain_seconds)
            await self._end_requests()
            await leaving
            await _within(FLUSH_SECONDS, "flush", self._phases.flush)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CANCEL_SECONDS)
        await self._end_requests()
        await super().shutdown(sockets)

    async def _begin(self) -> None:
        await self._phases.open()
        if self._gate.state == "opening":
            self._gate.state = "open"
            self._tasks += [asyncio.create_task(self._run(task)) for task in self._background]

    async def _end_requests(self) -> None:
        """Accept no more connections and let those that are open finish their request."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - as uvicorn looks
                    await asyncio.sleep(0.02)
        except TimeoutError:
            log.warning("requests_cut", extra={"count": len(self.server_state.tasks)})

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


async def _within(seconds: float, phase: str, act: Background) -> None:
    """Go through a phase; one that fails or takes too long must not keep the role from ending."""
    try:
        async with asyncio.timeout(seconds):
            await act()
    except Exception as error:  # noqa: BLE001 - what was saved is in the journals; others take it up
        log.warning("phase_cut", extra={"step": phase, "error_type": type(error).__name__})
