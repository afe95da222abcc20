"""`./dev contracts`: writes what is derived from code (schemas, tables, boards, README's walk), or compares it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.grafana import catalogue
from deploy.grafana import generate as boards
from deploy.local.cli import CHECKOUT
from deploy.local.tools.walk import renewed


def main(arguments: Sequence[str]) -> int:
    """Generate, or with --check compare; 1 when something differs."""
    generator = [sys.executable, "-m", "shared.contracts.generate", *arguments]
    code = subprocess.run(generator, cwd=CHECKOUT, check=False).returncode
    check = "--check" in arguments
    return code or _boards(check=check) or _catalogue(check=check) or _walk(CHECKOUT / "README.md", check=check)


def _boards(*, check: bool) -> int:
    different = boards.differing()
    if check:
        for path in different:
            print(f"deploy/grafana/dashboards/{path.name}: differs from its description; run ./dev contracts")
        return 1 if different else 0
    boards.write()
    return 0


def _catalogue(*, check: bool) -> int:
    present = catalogue.PAGE.read_text(encoding="utf-8")
    wanted = catalogue.renewed(present)
    if present != wanted and check:
        print("docs/observability.md: its tables differ from the code; run ./dev contracts")
        return 1
    catalogue.PAGE.write_text(wanted, encoding="utf-8")
    return 0


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
