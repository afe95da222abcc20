"""`./dev logs`: the end of one process's log."""

from collections.abc import Sequence
from typing import NoReturn

from deploy.local.errors import LocalError
from deploy.local.tools.down import DATA
from deploy.local.tools.handover import hand_over


def main(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by `tail`. Raises LocalError naming the logs there are."""
    names = [argument for argument in arguments if not argument.startswith("-")]
    folder = DATA / "log"
    file = folder / f"{names[0] if names else ''}.log"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.log"))) or "none yet, start with `./dev up`"
        raise LocalError(f"Name one log of: {known}.")
    follow = ["-F"] if {"-f", "--follow"} & set(arguments) else []
    hand_over(["tail", "-n", "100", *follow, str(file)])
