"""`./dev bench`: measures, by the programs under tests/bench."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from deploy.local.cli import CHECKOUT
from deploy.local.tools.handover import hand_over


def main(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the benchmark."""
    os.chdir(CHECKOUT)
    hand_over([sys.executable, "-m", "tests.bench", *arguments])
