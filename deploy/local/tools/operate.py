"""`./dev run dossierbus …`: the operators' command with the settings of the service it is about, or of each in turn.

In an installation the command runs beside a role and has its settings; here it is given them.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from deploy.local.cli import CHECKOUT
from deploy.local.roles import SERVICES

PROGRAM = "dossierbus"
MODULE = "services.cli"
JOURNALED = ("intake", "identity", "payments", "notifications")
"""The services that keep journals."""
PER_SERVICE = (["verify"], ["replay"], ["parity"])
"""Commands that are run for each service in turn unless one is named."""
ADMINISTRATOR = "administrator"
"""Instead of a role: the login for backup and restore, which no role has."""


def main(arguments: Sequence[str], role: str | None, settings_of: Callable[[str], Mapping[str, str]]) -> int:
    """Run the command for each service it is about; the exit code is the worst of theirs."""
    return max(_run([*arguments, *extra], settings_of(one)) for one, extra in runs(arguments, role))


def runs(arguments: Sequence[str], role: str | None) -> list[tuple[str, list[str]]]:
    """The roles whose settings are needed, each with the arguments to add.

    A group's letters belong to the service it is named after; without any hint all services are meant.
    """
    named = role or _value(arguments, "--service") or _value(arguments, "--group") or ""
    service = named.partition("-")[0]
    services = [service] if service in SERVICES else list(JOURNALED)
    if arguments[:1] not in PER_SERVICE or {"-h", "--help"} & set(arguments):
        services = services[:1]
    if arguments[:1] in (["backup"], ["restore"]):
        return [(ADMINISTRATOR, [])]
    if arguments[:1] == ["kpis"]:
        return [(role or "analytics-worker", [])]
    wanted = arguments[:1] in PER_SERVICE and _value(arguments, "--service") is None
    return [(role or f"{one}-worker", ["--service", one] if wanted else []) for one in services]


def _run(arguments: Sequence[str], settings: Mapping[str, str]) -> int:
    command = [sys.executable, "-m", MODULE, *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env={**os.environ, **settings}, check=False).returncode


def _value(arguments: Sequence[str], option: str) -> str | None:
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
        if argument == option and place + 1 < len(arguments):
            return arguments[place + 1]
    return None
