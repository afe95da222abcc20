"""`./dev contracts`: generates what is derived from the contracts, or compares it."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from deploy.local.cli import CHECKOUT
from deploy.local.tools.handover import hand_over


def main(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the generator."""
    os.chdir(CHECKOUT)
    hand_over([sys.executable, "-m", "shared.contracts.generate", *arguments])
