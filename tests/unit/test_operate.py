"""`./dev run dossierbus …`: whose settings the operators' command gets."""

import re
from pathlib import Path

import pytest

from deploy.local.tools.operate import JOURNALED, runs
from services import cli
from services.cli import JOURNALS
from services.operations.command import misplaced
from shared.testing.web import settings

CHECKOUT = Path(__file__).resolve().parents[2]

CASES: list[tuple[str, str | None, list[tuple[str, list[str]]]]] = [
    ("verify", None, [(f"{one}-worker", ["--service", one]) for one in JOURNALED]),
    ("verify --service intake", None, [("intake-worker", [])]),
    ("verify --service=payments", None, [("payments-worker", [])]),
    ("verify", "identity-reuse", [("identity-reuse", ["--service", "identity"])]),
    ("replay", "payments-api", [("payments-api", ["--service", "payments"])]),
    ("dlq list --group identity-reuse", None, [("identity-worker", [])]),
    ("dlq redrive --group analytics --key d1", None, [("analytics-worker", [])]),
    ("dlq list --group nobody", None, [("intake-worker", [])]),
    ("kpis recount --no-wait", None, [("analytics-worker", [])]),
    ("kpis recount", "analytics-api", [("analytics-api", [])]),
    ("backup --to a --vault-to b", None, [("administrator", [])]),
    ("--help", None, [("intake-worker", [])]),
]


@pytest.mark.parametrize(("line", "role", "expected"), CASES, ids=[case[0] for case in CASES])
def test_each_command_gets_the_settings_it_needs(
    line: str, role: str | None, expected: list[tuple[str, list[str]]]
) -> None:
    """A service or group that is named, the role that is asked for, else each service with journals in turn."""
    assert runs(line.split(), role) == expected


def test_every_journal_of_every_service_is_verified() -> None:
    """The command knows each collection of journals that a service opens, and the services know nothing of it."""
    opened: dict[str, int] = {}
    for path in sorted((CHECKOUT / "services").glob("*/**/*.py")):
        service = path.relative_to(CHECKOUT / "services").parts[0]
        text = path.read_text()
        assert "services.cli" not in text
        opened[service] = opened.get(service, 0) + len(re.findall(r"bus\.journal\(", text))
    assert {service: count for service, count in opened.items() if count} == {
        service: len(collections) for service, collections in JOURNALS.items()
    }
    assert set(JOURNALED) == set(JOURNALS)


@pytest.mark.parametrize("line", ["verify --service intake", "dlq list --group intake"])
def test_a_command_beside_another_service_is_refused(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another service's database holds no such journals and letters: instead of saying that all is well, say so."""
    monkeypatch.setattr(cli, "load", lambda _: settings().model_copy(update={"otel_service_name": "payments"}))
    assert cli.main(line.split()) == 2
    assert capsys.readouterr().err == (
        "These are the settings of payments; intake needs those of intake: run it beside intake-worker.\n"
    )


def test_a_command_beside_its_own_service_goes_on() -> None:
    """A service's second group is its own too; settings that name no service of ours are believed."""
    asked = cli._parser().parse_args(["dlq", "list", "--group", "identity-reuse"])
    for name in ("identity", None, "emmen-identity"):
        assert misplaced(asked, settings().model_copy(update={"otel_service_name": name})) is None
