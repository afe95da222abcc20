"""`./dev simulate`: many seeds of the deterministic simulation, by the programs under tests/simulation."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from deploy.local.cli import CHECKOUT
from deploy.local.tools.handover import hand_over


def main(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the simulation."""
    os.chdir(CHECKOUT)
    hand_over([sys.executable, "-m", "tests.simulation", *arguments])
