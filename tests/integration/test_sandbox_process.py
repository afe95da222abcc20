"""The stand-ins as the processes they are in development: started by name, killed, started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.local.sandbox.testing import free_port

START_SECONDS = 30


@contextmanager
def _process(name: str, data_dir: Path, **environment: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """A stand-in in its own process, ready to be spoken to; ended at the latest on leaving."""
    port = free_port()
    extra = {"HTTP_PORT": str(port), "DATA_DIR": str(data_dir), "SMTP_PORT": str(free_port()), **environment}
    command = [sys.executable, "-m", "deploy.local.sandbox", name]
    process = subprocess.Popen(command, env=os.environ | extra)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            _wait_ready(client, process)
            yield client, process
    finally:
        process.kill()
        process.wait()


def _wait_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "the process ended"
        assert time.monotonic() < deadline, "the process is not ready"
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)


@pytest.mark.parametrize("name", ["psp", "register", "oidc", "mail", "collector"])
def test_each_starts_by_name_and_stops_on_request(name: str, tmp_path: Path) -> None:
    """Every stand-in becomes ready, explains its faults, and ends cleanly on SIGTERM."""
    with _process(name, tmp_path) as (client, process):
        assert "hang_seconds" in client.get("/sandbox/faults").json()["meaning"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM)


def test_unknown_names_and_production_are_refused(tmp_path: Path) -> None:
    """A name that does not exist ends with 2 and the usage; ENVIRONMENT=production does not start."""
    command = [sys.executable, "-m", "deploy.local.sandbox"]
    wrong = subprocess.run([*command, "bank"], capture_output=True, check=False)
    assert (wrong.returncode, b"psp|register|oidc|mail|collector" in wrong.stderr) == (2, True)
    environment = os.environ | {"ENVIRONMENT": "production", "DATA_DIR": str(tmp_path)}
    live = subprocess.run([*command, "register"], capture_output=True, env=environment, check=False, timeout=30)
    assert live.returncode != 0


def test_the_ledger_and_the_key_outlive_a_kill(tmp_path: Path) -> None:
    """After kill -9 the captured payment is in the ledger, and the old Idempotency-Key still finds its session."""
    form = {
        "mode": "payment",
        "success_url": "http://127.0.0.1:9/done",
        "line_items[0][price_data][currency]": "chf",
        "line_items[0][price_data][unit_amount]": "2500",
        "line_items[0][price_data][product_data][name]": "Wohnsitzbestätigung",
    }
    headers = {"Authorization": "Bearer sk_test_sandbox", "Idempotency-Key": "k1"}
    with _process("psp", tmp_path) as (client, process):
        session = client.post("/v1/checkout/sessions", data=form, headers=headers).json()["id"]
        assert client.post(f"/sandbox/sessions/{session}/pay", json={"twint": True}).json()["paid"] is True
        process.send_signal(signal.SIGKILL)
        process.wait()
    with _process("psp", tmp_path) as (client, _):
        assert [entry["amount"] for entry in client.get("/sandbox/ledger").json()["entries"]] == [2500]
        assert client.post("/v1/checkout/sessions", data=form, headers=headers).json()["id"] == session
