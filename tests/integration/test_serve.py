"""A role as a real process: start, background tasks, signals and exit codes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from deploy.local.sandbox.testing import free_port
from shared.web.serve import GRACE_SECONDS

ROOT = Path(__file__).parents[2]
KEY = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="

ROLE = """
import asyncio, logging
from contextlib import asynccontextmanager
from fastapi import Depends
from fastapi.responses import StreamingResponse
from shared.auth import public
from shared.errors import BrokerReplaced
from shared.phases import Phases
from shared.settings import CommonSettings, load
from shared.telemetry import configure
from shared.web.app import create_app
from shared.web.serve import serve

log = logging.getLogger("services.test")
trigger = asyncio.Event()
begun = 0

async def opening():
    await asyncio.Event().wait()

async def leaving():
    log.info("leaving")

async def flushing():
    log.info("flushing")
    raise RuntimeError

@asynccontextmanager
async def lifespan(app):
    {start}
    log.info("opened")
    yield
    log.info("closed")

async def background():
    log.info("working")
    try:
        await trigger.wait()
        raise {failure}
    finally:
        log.info("stopped_working")

settings = load(CommonSettings)
configure(settings, "test.worker")
app = create_app("Test", "test", settings=settings, lifespan=lifespan)

@app.post("/fail", dependencies=[Depends(public("a test"))])
async def fail() -> None:
    trigger.set()

@app.get("/endless", dependencies=[Depends(public("a test"))])
async def endless() -> StreamingResponse:
    async def ticks():
        while True:
            yield b": tick\\n\\n"
            await asyncio.sleep(0.05)
    return StreamingResponse(ticks(), media_type="text/event-stream")

@app.post("/slow", dependencies=[Depends(public("a test"))])
async def slow() -> None:
    global begun
    begun += 1
    await asyncio.sleep(1)

@app.get("/begun", dependencies=[Depends(public("a test"))])
async def count() -> int:
    return begun

serve(app, settings, [background], {phases})
"""


class Role:
    """A running role and what it printed."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.process = process

    def wait_ready(self, *states: int) -> None:
        """Wait until readiness answers with one of these states; 200 unless told otherwise."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._readiness() in (states or (200,)):
                return
            time.sleep(0.05)
        pytest.fail(f"the role did not start: {self.process.communicate()}")

    def _readiness(self) -> int | None:
        """What the probe answers; None while nobody listens."""
        try:
            return httpx.get(f"{self.base}/health/ready", timeout=1).status_code
        except httpx.TransportError:
            return None

    def end(self) -> tuple[int, list[str], list[dict[str, object]]]:
        """Wait for the end: exit code, events of our own loggers in order, all log lines."""
        output, errors = self.process.communicate(timeout=20)
        assert errors == ""
        lines = [json.loads(line) for line in output.splitlines()]
        return self.process.returncode, [line["event"] for line in lines if line["logger"] == "services.test"], lines


@contextmanager
def running(
    failure: str = "RuntimeError", start: str = "pass", phases: str = "Phases()", **variables: str
) -> Iterator[Role]:
    """Start the role with settings; whatever happens, it is gone afterwards."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HTTP_PORT": str(port), "MONGODB_URI": "mongodb://x/y",
        "JOURNAL_KEY": KEY, "HASH_KEY": KEY, "OIDC_ISSUER": "http://127.0.0.1:9", **variables,
    }  # fmt: skip
    program = textwrap.dedent(ROLE).replace("{failure}", failure).replace("{start}", start).replace("{phases}", phases)
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield Role(port, process)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_in_order_with_code_0(number: signal.Signals) -> None:
    """Background first, then the lifespan: nothing works on what is already closed."""
    with running() as role:
        role.wait_ready()
        role.process.send_signal(number)
        code, events, _ = role.end()
    assert code == 0
    assert events == ["opened", "working", "stopped_working", "closed"]


def test_an_open_stream_ends_in_order_when_the_role_leaves() -> None:
    """An endless stream ends whole, at once: its reader sees an end and goes on elsewhere; no grace is used up."""
    with running() as role:
        role.wait_ready()
        with httpx.stream("GET", f"{role.base}/endless", timeout=20) as stream:
            chunks = stream.iter_raw()
            next(chunks)
            role.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            list(chunks)
        code, events, _ = role.end()
    assert (code, events[-1]) == (0, "closed")
    assert time.monotonic() - began < GRACE_SECONDS


def test_while_it_drains_it_is_not_ready_and_still_answers() -> None:
    """Told to stop: the probe says so at once, requests are answered for a while, each on its last connection."""
    with running(DRAIN_SECONDS="1") as role, httpx.Client(base_url=role.base, timeout=5) as http:
        role.wait_ready()
        role.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 5
        while (probe := http.get("/health/ready")).status_code == 200 and time.monotonic() < until:
            time.sleep(0.01)
        answer = http.get("/openapi.json")
        code, _, _ = role.end()
    assert (probe.status_code, probe.json()["failed"]) == (503, ["leaving"])
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert code == 0


def test_a_request_under_way_is_finished() -> None:
    """SIGTERM in the middle of a request: the port closes, the request is answered, then the process ends."""
    with running() as role, ThreadPoolExecutor() as pool:
        role.wait_ready()
        answer = pool.submit(httpx.post, f"{role.base}/slow", timeout=10)
        while not answer.done() and httpx.get(f"{role.base}/begun", timeout=5).json() == 0:
            time.sleep(0.01)
        role.process.send_signal(signal.SIGTERM)
        code, events, _ = role.end()
    assert answer.result().status_code == 200
    assert (code, events[-1]) == (0, "closed")


def test_the_port_is_open_before_the_role() -> None:
    """Alive but not ready, and every request is told when to come back, as long as what it needs is missing."""
    with running(phases="Phases(open=opening)") as role:
        role.wait_ready(503)
        live, ready = (httpx.get(f"{role.base}/health/{probe}", timeout=5) for probe in ("live", "ready"))
        refused = httpx.post(f"{role.base}/fail", timeout=5)
        opened = httpx.get(f"{role.base}/metrics", timeout=5)
        role.process.send_signal(signal.SIGTERM)
        code, events, _ = role.end()
    assert (live.status_code, ready.status_code, opened.status_code) == (200, 503, 200)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert refused.json()["type"].endswith("/unavailable")
    assert (code, events) == (0, ["opened", "closed"])


def test_each_phase_comes_in_its_turn() -> None:
    """Leave beside the requests, flush after them, the background ends last; a phase that fails holds up nothing."""
    with running(phases="Phases(leave=leaving, flush=flushing)") as role:
        role.wait_ready()
        role.process.send_signal(signal.SIGTERM)
        code, events, lines = role.end()
    assert (code, events) == (0, ["opened", "working", "leaving", "flushing", "stopped_working", "closed"])
    assert [(line["step"], line["error_type"]) for line in lines if line["event"] == "phase_cut"] == [
        ("flush", "RuntimeError")
    ]


@pytest.mark.parametrize(("failure", "code"), [("RuntimeError('Lea Muster')", 1), ("BrokerReplaced()", 75)])
def test_a_failing_background_task_ends_the_process(failure: str, code: int) -> None:
    """No half-alive role: the process closes and says by its code what the supervisor should think."""
    with running(failure) as role:
        role.wait_ready()
        httpx.post(f"{role.base}/fail", timeout=5)
        ended, events, lines = role.end()
    assert ended == code
    assert events == ["opened", "working", "stopped_working", "closed"]
    assert "Lea" not in str(lines)
    assert code in [line.get("exit_code") for line in lines]


def test_a_failing_start_is_told_without_data() -> None:
    """A lifespan that raises ends the process; the log names type and place only."""
    with running(start="raise ValueError('mongodb://user:geheim@host')") as role:
        code, _, lines = role.end()
    assert code == 3
    assert "geheim" not in str(lines)
    assert [line["error"] for line in lines if line["event"] == "lifespan_failed"] == ["ValueError"]


class Refusing(BaseHTTPRequestHandler):
    """A collector that takes nothing."""

    batches = 0

    def do_POST(self) -> None:
        """Count and refuse."""
        type(self).batches += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(400)

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


def test_a_collector_that_fails_neither_blocks_nor_spams() -> None:
    """Batch after batch fails: requests are answered all the same, and one warning is logged."""
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    try:
        with running(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}") as role:
            role.wait_ready()
            deadline = time.monotonic() + 20
            while Refusing.batches < 3 and time.monotonic() < deadline:
                assert httpx.get(f"{role.base}/openapi.json", timeout=2).status_code == 200
                time.sleep(0.05)
            role.process.send_signal(signal.SIGTERM)
            code, _, lines = role.end()
    finally:
        collector.shutdown()
        collector.server_close()
    assert Refusing.batches >= 3
    assert code == 0
    assert [line["event"] for line in lines if line["level"] in ("WARNING", "ERROR")] == ["trace_export_failing"]


def test_a_collector_that_is_away_does_not_hold_up_the_end() -> None:
    """With nobody at the address, the last spans are given up and the process ends at once."""
    with running(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}") as role:
        role.wait_ready()
        assert httpx.get(f"{role.base}/openapi.json", timeout=2).status_code == 200
        role.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        code, _, _ = role.end()
    assert code == 0
    assert time.monotonic() - began < 8
