"""The browser that the page tests look through. Installs Debian's when it may; otherwise says what to do."""

import os
import shutil
import subprocess

_MESSAGE = "Chromium is missing: the tests of pages are left out. Run `apt-get install chromium` as root to have them."


def ensure_chromium() -> None:
    """Make sure of `chromium` on PATH: install it as root, else print one sentence."""
    if shutil.which("chromium"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(_MESSAGE, flush=True)
        return
    print("Installing Debian's chromium for the tests of pages …", flush=True)
    for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        _apt(command)
    if not shutil.which("chromium"):
        print(_MESSAGE, flush=True)


def _apt(command: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", *command], env=environment, capture_output=True, check=False)
