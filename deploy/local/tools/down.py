"""`./dev down`: stops a running `./dev up`, and whatever an aborted one left behind. Data stays."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from deploy.local import lock, processes
from deploy.local.cli import CHECKOUT

DATA = CHECKOUT / ".local"
# `./dev up --check` keeps its own data.
ROOTS = (DATA, DATA / "check")


def main(arguments: Sequence[str]) -> int:
    """Stop and say what was stopped. Arguments are not used."""
    del arguments
    stopped = [name for root in ROOTS for name in stop_all(root)]
    print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
    return 0


def stop_all(root: Path) -> list[str]:
    """Names of what ran under `root` and does no longer. Raises LocalError when a running `up` does not end in time."""
    names = sorted(processes.running(root))
    file = root / "stack.lock"
    if (pid := lock.holder(file)) is not None:
        os.kill(pid, signal.SIGTERM)
        processes.wait_until(lambda: lock.holder(file) is None, 90, f"`./dev up` (process {pid}) did not end")
    processes.reap(root)
    return names
