"""What the operators' commands have in common: how one is called, and who is said to have called it."""

import argparse
import getpass
from collections.abc import Awaitable, Callable

from shared.environment import parse_timestamp, timestamp
from shared.settings import CommonSettings
from shared.store.mongo import Database

Command = Callable[[argparse.Namespace, CommonSettings, Database], Awaitable[int]]
"""Return the exit code: 0 fine, 1 something was found or is left to do."""


def name_of_operator(options: argparse.Namespace) -> str:
    """Return who acts, for the log of deeds: as told, else the login's name."""
    if options.operator:
        return f"cli:{options.operator}"
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return "cli:unknown"


def moment(text: str) -> str:
    """Read a time given as an option. Raises ValueError for anything but RFC 3339."""
    return timestamp(parse_timestamp(text))
