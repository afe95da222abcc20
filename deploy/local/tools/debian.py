"""Debian programs that some tests look through. Installs them when it may, else says what to do; starts nothing."""

import os
import shutil
import subprocess
from pathlib import Path

_SYSTEMD = Path("/run/systemd/system")


def ensure(program: str, packages: tuple[str, ...], purpose: str, *, daemon: bool = False) -> bool:
    """Make sure of `program` on PATH: install as root, else print one sentence; return whether it is there.

    A `daemon` package starts its service at once where systemd runs, on its usual port: there it is never installed.
    """
    if shutil.which(program):
        return True
    if os.geteuid() == 0 and shutil.which("apt-get") and not (daemon and _SYSTEMD.exists()):
        print(f"Installing Debian's {' and '.join(packages)} for {purpose} …", flush=True)
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            _apt(command)
    if shutil.which(program):
        return True
    by_hand = f"apt-get install {' '.join(packages)}"
    print(f"{program} is missing: {purpose} are left out. Run `{by_hand}` as root to have them.", flush=True)
    return False


def _apt(command: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", *command], env=environment, capture_output=True, check=False)
