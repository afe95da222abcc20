"""`./dev reset`: stops everything and removes the local data, logs and secrets. Downloads in the user's cache stay."""

import shutil
from collections.abc import Sequence

from deploy.local.tools.down import DATA, ROOTS, stop_all


def main(arguments: Sequence[str]) -> int:
    """Stop, remove, say so. Arguments are not used."""
    del arguments
    for root in ROOTS:
        stop_all(root)
    shutil.rmtree(DATA, ignore_errors=True)
    print(f"Removed {DATA}: the next `./dev up` starts with empty data.")
    return 0
