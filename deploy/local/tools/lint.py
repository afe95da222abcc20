"""`./dev lint`: style, format and types. Changes no file."""

import subprocess
import sys
from collections.abc import Sequence

from deploy.local.cli import CHECKOUT

CHECKS: tuple[tuple[str, ...], ...] = (
    ("ruff", "check", ".", "dev"),
    ("ruff", "format", "--check", "--quiet", ".", "dev"),
    ("mypy", "--strict", "."),
)


def main(arguments: Sequence[str]) -> int:
    """Run every check, also after one failed; 0 when all passed. Arguments are not used."""
    del arguments
    failed = [" ".join(check) for check in CHECKS if not _passes(check)]
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


def _passes(check: Sequence[str]) -> bool:
    print(f"{' '.join(check)} …", flush=True)
    return subprocess.run([sys.executable, "-m", *check], cwd=CHECKOUT, check=False).returncode == 0
