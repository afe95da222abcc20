"""`./dev run dossierbus …`: the operators' command with the settings of the service it is about, or of each in turn.

In an installation the command runs beside a role and has its settings; here it is given them.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from deploy.local.cli import CHECKOUT

PROGRAM = "dossierbus"
MODULE = "services.cli"
JOURNALED = ("intake", "identity", "payments", "notifications")
"""The services that keep journals."""


def command(arguments: Sequence[str]) -> list[str]:
    """The operators' command as a process of this environment."""
    return [sys.executable, "-m", MODULE, *arguments]


def main(arguments: Sequence[str], settings_of: Callable[[str], Mapping[str, str]]) -> int:
    """Run the command for each service it is about; the exit code is the worst of theirs."""
    codes = [
        subprocess.run(
            command([*arguments, *extra]),
            cwd=CHECKOUT,
            env={**os.environ, **settings_of(f"{service}-worker")},
            check=False,
        ).returncode
        for service, extra in runs(arguments)
    ]
    return max(codes)


def runs(arguments: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Per service the arguments to add; a group's letters belong to the service it is named after."""
    group, service = _value(arguments, "--group"), _value(arguments, "--service")
    if group is not None:
        return [(group.partition("-")[0], [])]
    if service is not None:
        return [(service, [])]
    if arguments[:1] in (["verify"], ["replay"]):
        return [(one, ["--service", one]) for one in JOURNALED]
    return [(JOURNALED[0], [])]


def _value(arguments: Sequence[str], option: str) -> str | None:
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
        if argument == option and place + 1 < len(arguments):
            return arguments[place + 1]
    return None
