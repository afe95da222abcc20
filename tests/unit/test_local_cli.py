"""The command line of `./dev`: every command explained, dispatched and split correctly."""

from importlib import import_module

import pytest

from deploy.local.cli import CHECKOUT, COMMANDS, help_text, main
from deploy.local.errors import LocalError
from deploy.local.tools.run import split
from deploy.local.tools.test import pytest_command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_is_explained(name: str) -> None:
    """Each command has a `main` and one line in the help."""
    assert callable(import_module(COMMANDS[name].module).main)
    assert f"./dev {name}" in help_text()
    assert COMMANDS[name].purpose in help_text()


def test_entry_point_is_short() -> None:
    """`./dev` is at most 40 lines."""
    assert len((CHECKOUT / "dev").read_text().splitlines()) <= 40


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command names itself, shows the help and ends with 2."""
    assert main(["upp"]) == 2
    assert "'upp'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command, or asked for help, the help is printed and all is well."""
    assert main(arguments) == 0
    assert "./dev up" in capsys.readouterr().out


def test_pytest_runs_the_kinds_asked_for() -> None:
    """Kinds become folders in their order, further arguments are passed on."""
    assert pytest_command(["unit"], ["-x", "-k", "vault"], CHECKOUT) == [
        "-m",
        "pytest",
        "tests/unit",
        "-x",
        "-k",
        "vault",
    ]


def test_named_test_files_replace_the_kinds() -> None:
    """A caller who names files gets those files only."""
    assert pytest_command(["unit"], ["tests/unit/test_local_cli.py"], CHECKOUT)[2:] == ["tests/unit/test_local_cli.py"]


def test_run_splits_role_and_command() -> None:
    """`--as ROLE` is taken off; everything after it belongs to the command."""
    assert split(["--as", "intake-api", "python", "-m", "x", "--as"]) == ("intake-api", ["python", "-m", "x", "--as"])
    assert split(["--", "ls", "-l"]) == (None, ["ls", "-l"])


@pytest.mark.parametrize("arguments", [[], ["--as"], ["--as", "intake-api"]])
def test_run_needs_a_command(arguments: list[str]) -> None:
    """Without a command there is a sentence, no stack trace."""
    with pytest.raises(LocalError, match="Name a command"):
        split(arguments)
