"""Makes `.venv` from the lock file and continues inside it. Standard library only: nothing is installed yet."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from deploy.local.errors import LocalError
from deploy.local.preflight import require_disk, require_platform
from deploy.local.processes import log_tail
from deploy.local.tools.handover import hand_over

UV = "uv==0.13.9"
# "from versions: none" is all pip says about an index it cannot reach.
_NETWORK_SIGNS = (
    "from versions: none",
    "connection",
    "network",
    "resolve",
    "timed out",
    "timeout",
    "dns",
    "proxy",
    "certificate",
    "tls",
)


def ensure(checkout: Path, arguments: Sequence[str]) -> None:
    """Return when this process runs in an up-to-date `.venv`; else install and start the same command again inside it.

    Raises LocalError when the installation fails. With an unchanged lock file this costs a few milliseconds.
    """
    environment = checkout / ".venv"
    python = environment / "bin" / "python"
    wanted = stamp(checkout)
    if _read(environment / ".stamp") != wanted or not python.exists():
        _install(checkout, environment, wanted)
    if Path(sys.prefix).resolve() != environment.resolve():
        hand_over([str(python), "-m", "deploy.local.cli", *arguments])


def stamp(checkout: Path) -> str:
    """What an installed environment must match: the lock file, the groups asked for, and how we install."""
    content = b"".join((checkout / name).read_bytes() for name in ("uv.lock", "pyproject.toml"))
    return hashlib.sha256(content + UV.encode()).hexdigest()


def _install(checkout: Path, environment: Path, wanted: str) -> None:
    require_platform()
    require_disk(checkout)
    log_file = checkout / ".local" / "log" / "install.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with (checkout / ".local" / "install.lock").open("w") as lock, log_file.open("w") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _read(environment / ".stamp") == wanted:
            return
        print("Installing the locked dependencies into .venv …", file=sys.stderr, flush=True)
        _make(checkout, environment, log)
        (environment / ".stamp").write_text(wanted)
    print(f"  {'dependencies':<44} {time.monotonic() - started:6.1f} s", file=sys.stderr, flush=True)


def _make(checkout: Path, environment: Path, log: TextIO) -> None:
    python = str(environment / "bin" / "python")
    if not _works(python):
        shutil.rmtree(environment, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(environment)], checkout, log)
    if subprocess.run([python, "-c", "import uv"], capture_output=True, check=False).returncode != 0:
        _run([python, "-m", "pip", "install", "--disable-pip-version-check", UV], checkout, log)
    # The tool that installs is not in the lock file, so what is not locked is left alone.
    _run([python, "-m", "uv", "sync", "--frozen", "--inexact", "--python", python], checkout, log)


def _run(command: Sequence[str], checkout: Path, log: TextIO) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    result = subprocess.run(command, cwd=checkout, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False)
    if result.returncode != 0:
        log.flush()
        raise LocalError(f"{failure_sentence(Path(log.name).read_text())}\n{log_tail(Path(log.name))}")


def failure_sentence(log: str) -> str:
    """What to do about a failed installation, by what its log says."""
    text = log.lower()
    if "no space left" in text or "disk quota" in text:
        return "The disk is full: free at least 1 GB, then start the same command again."
    if any(sign in text for sign in _NETWORK_SIGNS):
        return "The dependencies could not be downloaded: check network and proxy, then start the same command again."
    return "The dependencies could not be installed; the end of .local/log/install.log:"


def _works(python: str) -> bool:
    try:
        return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
