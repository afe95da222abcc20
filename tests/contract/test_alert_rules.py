"""The alerts and their runbooks: rules that tell faults from none, pages that name only what there is."""

import json
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from deploy.local.cli import COMMANDS
from services.cli import _parser
from shared.contracts.event import events
from shared.contracts.topics import EVENT_TOPICS
from tests.contract.runbooks import ROOT, RULES, RUNBOOKS, queries, rules, sections

BOARDS = ROOT / "deploy" / "grafana" / "dashboards"
UNIT_TESTS = ROOT / "deploy" / "prometheus" / "tests" / "alerts.yml"
MOST = 12
PARTS = ["Citizens feel", "First look", "Likely causes", "Fix", "Wake"]
FOREIGN = {"up", "process_cpu_seconds_total"}
"""Metrics that Prometheus and the client library make."""

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt-get install prometheus)"
)


def _promtool(*arguments: str) -> None:
    done = subprocess.run([shutil.which("promtool") or "", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _metrics_of_the_code() -> set[str]:
    """Every instrument's name as scraped, from the literals that name them."""
    text = "".join(
        path.read_text() for folder in ("shared", "services") for path in sorted((ROOT / folder).rglob("*.py"))
    )
    named = set(re.findall(r'"(dossierbus_[a-z_]+)"', text))
    kpis = {f"dossierbus_kpi_{name}" for name in re.findall(r'_family\(\s*"([a-z_]+)"', text)}
    return named | kpis


@needs_promtool
def test_prometheus_takes_therules() -> None:
    """promtool finds nothing wrong with rules and configuration."""
    _promtool("check", "rules", str(RULES))
    _promtool("check", "config", str(ROOT / "deploy" / "prometheus" / "prometheus.yml"))


@needs_promtool
def test_rules_tell_faults_from_none() -> None:
    """Each alert fires on its made-up fault, not on what is none, and ends (promtool test rules)."""
    _promtool("test", "rules", str(UNIT_TESTS))


def test_every_alert_is_tested() -> None:
    """The unit tests hold, for each alert, a moment at which it fires and one at which it does not."""
    checks = [check for test in yaml.safe_load(UNIT_TESTS.read_text())["tests"] for check in test["promql_expr_test"]]
    for alert in rules():
        mine = [bool(check.get("exp_samples")) for check in checks if f'"{alert}"' in check["expr"]]
        assert set(mine) == {True, False}, alert


def test_alerts_are_few_and_complete() -> None:
    """At most twelve; each says whom it wakes and what is wrong, and leads to its runbook."""
    assert len(rules()) <= MOST
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert rule["annotations"]["summary"].endswith("."), name
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}", name


def test_every_alert_has_a_runbook() -> None:
    """A section by the alert's name, with its severity and all five parts in order, and a line in the table."""
    found, page = sections(), RUNBOOKS.read_text()
    assert set(rules()) <= set(found)
    for name, rule in rules().items():
        severity = rule["labels"]["severity"]
        assert re.findall(r"^- \*\*(.+?)\*\*", found[name], re.MULTILINE) == PARTS, name
        assert found[name].lstrip().startswith(f"*{severity}*: "), name
        assert f"| [{name}](#{name.lower()}) | {severity} |" in page


def test_named_metrics_exist() -> None:
    """Rules and runbooks ask for metrics that the code makes."""
    known = _metrics_of_the_code() | FOREIGN
    text = RULES.read_text() + "\n".join(query for one in sections().values() for query in queries(one))
    for name in set(re.findall(r"\bdossierbus_[a-z_]+\b", text)):
        assert re.sub(r"_(bucket|count|sum)$", "", name) in known or name in known, name


def test_named_commands_exist() -> None:
    """Every `dossierbus …` and `./dev …` of the runbooks is a command with these arguments."""
    spans = re.findall(r"`(dossierbus [a-z][^`…]*|\./dev [a-z][^`…<]*)`", RUNBOOKS.read_text())
    assert spans
    for program, *arguments in map(shlex.split, spans):
        if program == "dossierbus":
            _parser().parse_args([{"<id>": "any"}.get(one, one) for one in arguments])
        else:
            assert arguments[0] in COMMANDS


def test_named_log_events_exist() -> None:
    """A log event or a fact that a runbook tells to look for is one that the code writes."""
    assert EVENT_TOPICS  # importing the topics registers the events
    facts = {event.word for event in events().values()}
    text = "".join(path.read_text() for folder in ("shared", "services") for path in (ROOT / folder).rglob("*.py"))
    for name in set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", RUNBOOKS.read_text())):
        assert f'"{name}"' in text or name in facts, name


def test_named_panels_exist() -> None:
    """Every runbook begins at a board, and names panels that are on it."""
    boards = {path.stem: json.loads(path.read_text()) for path in BOARDS.glob("*.json")}
    for alert in rules():
        found = re.search(r"\*\*First look\*\*: board `(\w+)`, (\*.+?\*);", sections()[alert])
        assert found, alert
        titles = {panel["title"] for panel in boards[found[1]]["panels"]}
        assert set(re.findall(r"\*(.+?)\*", found[2])) <= titles, alert
