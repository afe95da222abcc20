"""Replaces this process by another program, so that its exit code, signals and terminal are the program's own."""

import os
from collections.abc import Mapping, Sequence
from typing import NoReturn


def hand_over(command: Sequence[str], environment: Mapping[str, str] | None = None) -> NoReturn:
    """Never returns. Raises FileNotFoundError when the program is not on the PATH of `environment`."""
    os.execvpe(command[0], list(command), dict(os.environ if environment is None else environment))  # noqa: S606
