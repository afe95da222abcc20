"""`./dev test`: hands over to pytest. Knows the kinds of tests, not what they need."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from deploy.local.broker import WISHES
from deploy.local.cli import CHECKOUT
from deploy.local.tools.browser import ensure_chromium
from deploy.local.tools.handover import hand_over
from deploy.local.tools.watchers import ensure_prometheus

KINDS = ("unit", "contract", "architecture", "integration", "journey", "simulation")
BROKER_VARIABLE = "DOSSIERBUS_BROKER"


def main(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by pytest over the kinds asked for; tests read the broker from DOSSIERBUS_BROKER."""
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("--kind", action="append", nargs="+", choices=KINDS, default=None)
    parser.add_argument("--broker", choices=WISHES, default="auto")
    options, rest = parser.parse_known_args([argument for argument in arguments if argument != "--"])
    kinds = [kind for group in options.kind or [KINDS] for kind in group]
    os.environ[BROKER_VARIABLE] = options.broker
    if {"integration", "journey"} & set(kinds):
        ensure_chromium()
        ensure_prometheus()
    os.chdir(CHECKOUT)
    hand_over([sys.executable, *pytest_command(kinds, rest, CHECKOUT)])


def pytest_command(kinds: Sequence[str], rest: Sequence[str], checkout: Path) -> list[str]:
    """Arguments for the interpreter: the folders of these kinds unless the caller names test files, then the rest."""
    named = [argument for argument in rest if argument.startswith("tests/")]
    folders = [f"tests/{kind}" for kind in kinds if (checkout / "tests" / kind).is_dir()]
    return ["-m", "pytest", *([] if named else folders), *rest]
