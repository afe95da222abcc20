"""`./dev contracts`: writes what is derived from code (schemas, AsyncAPI, tables, README's walk), or compares it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.local.cli import CHECKOUT
from deploy.local.tools.walk import renewed


def main(arguments: Sequence[str]) -> int:
    """Generate, or with --check compare; 1 when something differs."""
    generator = [sys.executable, "-m", "shared.contracts.generate", *arguments]
    code = subprocess.run(generator, cwd=CHECKOUT, check=False).returncode
    return code or _walk(CHECKOUT / "README.md", check="--check" in arguments)


def _walk(readme: Path, *, check: bool) -> int:
    present = readme.read_text(encoding="utf-8")
    wanted = renewed(present, CHECKOUT)
    if present == wanted:
        return 0
    if check:
        print("README.md: the walk's line numbers differ; run ./dev contracts")
        return 1
    readme.write_text(wanted, encoding="utf-8")
    return 0
