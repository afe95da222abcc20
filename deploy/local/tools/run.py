"""`./dev run`: any command inside the installed environment, on demand with the settings of one role."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.local.cli import CHECKOUT
from deploy.local.errors import LocalError
from deploy.local.tools import operate
from deploy.local.tools.handover import hand_over


def main(arguments: Sequence[str]) -> int:
    """Replace this process by the command. Raises LocalError when it does not exist.

    `dossierbus` is the operators' command; without a role it runs for each service it is about.
    """
    role, command = split(arguments)
    if command[0] == operate.PROGRAM:
        return operate.main(command[1:], role, _settings_of)
    environment = {**os.environ, **(_settings_of(role) if role else {})}
    binaries = str(Path(sys.prefix) / "bin")
    environment["PATH"] = os.pathsep.join([binaries, environment.get("PATH", os.defpath)])
    environment["VIRTUAL_ENV"] = sys.prefix
    try:
        hand_over(command, environment)
    except FileNotFoundError as error:
        raise LocalError(f"There is no command {command[0]!r} inside the environment.") from error


def split(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The role after `--as` (or None) and the command. Raises LocalError when there is no command."""
    role, command = None, list(arguments)
    if command[:1] == ["--as"]:
        role, command = (command[1] if len(command) > 1 else None), command[2:]
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise LocalError("Name a command: ./dev run [--as ROLE] <command …>.")
    return role, command


def _settings_of(role: str) -> dict[str, str]:
    from deploy.local.stack import Stack

    stack = Stack(CHECKOUT / ".local")
    if role == operate.ADMINISTRATOR:
        return {"BACKUP_MONGODB_URI": stack.root_mongo_uri}
    try:
        return stack.env_for(role)
    except KeyError as error:
        raise LocalError(f"There is no role {role!r}.") from error
