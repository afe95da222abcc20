"""The command line of `./dev`: which command exists, what it is for, where its code is. Standard library only."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from deploy.local import install
from deploy.local.errors import LocalError

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Command:
    """One command: how it is written, what it does in a sentence, and the module whose `main(arguments)` does it."""

    usage: str
    purpose: str
    module: str
    installed: bool = True


COMMANDS: dict[str, Command] = {
    "up": Command(
        "up [--check] [--json] [--no-traffic] [--broker auto|kafka|embedded] [--base-port N]",
        "Install, start everything and send sample dossiers; with --check drive the journeys, stop, exit 0 or 1.",
        "deploy.local.up",
    ),
    "test": Command(
        "test [--kind K …] [--broker B] [pytest arguments]",
        "Run the tests, all or some kinds: unit, contract, architecture, integration, journey, simulation.",
        "deploy.local.tools.test",
    ),
    "lint": Command("lint", "Check style, format and types (ruff, mypy --strict).", "deploy.local.tools.lint"),
    "contracts": Command(
        "contracts [--check]",
        "Write the schemas, AsyncAPI and docs/events.md anew, or with --check compare them.",
        "deploy.local.tools.contracts",
    ),
    "token": Command(
        "token --role citizen|caseworker|operator|agency|service --sub S [--acr N]",
        "Print an access token of the development OpenID provider.",
        "deploy.local.tools.token",
    ),
    "down": Command("down", "Stop what runs, also what an aborted run left.", "deploy.local.tools.down", False),
    "reset": Command("reset", "Stop everything and remove all local data.", "deploy.local.tools.reset", False),
    "logs": Command(
        "logs <role> [-f]", "Show the end of a process's log, -f follows it.", "deploy.local.tools.logs", False
    ),
    "bench": Command("bench [arguments]", "Measure throughput and latency.", "deploy.local.tools.bench"),
    "measure": Command(
        "measure [--seconds N] [--json]",
        "Memory and CPU of every process that runs, and what dossiers take on disk.",
        "deploy.local.tools.measure",
    ),
    "simulate": Command(
        "simulate [--seeds N] [--seed S] [--json] [--log]",
        "Run the whole system in one process on virtual time with seeded faults; tell a failing seed's shortest story.",
        "deploy.local.tools.simulate",
    ),
    "chaos": Command(
        "chaos [--kills N] [--seed S] [--dossiers D] [--resume] [--json]",
        "Kill, freeze, restart and cut off everything under load, on three Kafka nodes; count what is lost or twice.",
        "deploy.local.chaos.cli",
    ),
    "soak": Command(
        "soak [--minutes 20] [--rate auto|N] [--json]",
        "Hold the highest steady rate of dossiers and tell what grows: memory, queues, journals, topics.",
        "deploy.local.tools.soak",
    ),
    "run": Command(
        "run [--as ROLE] <command …>",
        "Run a command inside the environment, with --as also with a role's settings.",
        "deploy.local.tools.run",
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 2 for a wrong call, 1 for a failure said in a sentence."""
    name = arguments[0] if arguments else "help"
    if name in ("help", "-h", "--help"):
        print(help_text())
        return 0
    command = COMMANDS.get(name)
    if command is None:
        print(f"There is no command {name!r}.\n\n{help_text()}", file=sys.stderr)
        return 2
    try:
        if command.installed:
            install.ensure(CHECKOUT, arguments)
        result: int = import_module(command.module).main(list(arguments[1:]))
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    return result


def help_text() -> str:
    """Every command with its usage and its sentence."""
    lines = [f"  ./dev {command.usage}\n      {command.purpose}" for command in COMMANDS.values()]
    return "\n".join(["Dossierbus on this machine.", "", *lines])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
