"""Boards and catalogue say what the code tells: no metric is missing or unknown, no figure can be counted twice."""

import json
import re
from collections import Counter
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from deploy.grafana import catalogue, inventory
from deploy.grafana.generate import BOARDS, FOLDER, differing
from deploy.grafana.meanings import FIELDS, MEANINGS
from deploy.grafana.model import Board, Panel, panels
from services.analytics.domain import Totals
from services.analytics.meters import KpiCollector
from shared.logs import FIELDS as LOGGED
from shared.metrics import LABELS
from tests.architecture.tree import ROOT

INSTRUMENTS = inventory.instruments()
SERIES = {series: one for one in INSTRUMENTS for series in one.series}
FOREIGN = re.compile(r"up|process_\w+")
TARGET_LABELS = {"job", "role", "le"}
UNITS = {"short", "s", "ops", "reqps", "bytes", "percentunit"}
EVERY_BOARD = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
PANELS = [(board, row, panel) for board in BOARDS for row, panel in panels(board)]
OWN = [(board, panel) for board, row, panel in PANELS if not row.exporter]
EVERY_PANEL = pytest.mark.parametrize(("board", "panel"), OWN, ids=lambda one: getattr(one, "title", ""))
METRIC = re.compile(r"(?<![\w$\"{=])([a-z]\w*)(?=\{|\[|\)| offset| or|$)")
WORDS = {"job", "role", "le", "or", "offset", "vector", *LABELS}


def _metrics(expression: str) -> set[str]:
    """The names of metrics in a query."""
    bare = re.sub(r"\{[^}]*\}", "{}", re.sub(r"\bby \([^)]*\)", "", expression))
    return {name for name in METRIC.findall(bare) if name not in WORDS}


def test_files_are_current() -> None:
    """`./dev contracts` was run after the last change of a description."""
    assert differing() == []
    assert catalogue.is_current()


@EVERY_BOARD
def test_board_is_whole(board: Board) -> None:
    """Unique ids, no overlap, known datasources, and the word that makes the boards find each other."""
    document: dict[str, Any] = json.loads((FOLDER / f"{board.uid.removeprefix('dossierbus-')}.json").read_text())
    drawn = document["panels"]
    assert len({panel["id"] for panel in drawn}) == len(drawn)
    cells: Counter[tuple[int, int]] = Counter()
    for place in (panel["gridPos"] for panel in drawn):
        assert place["x"] + place["w"] <= 24
        cells.update(
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
    assert max(cells.values()) == 1
    sources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/datasources.yml").read_text())
    known = {source["uid"] for source in sources["datasources"]}
    asked = {target["datasource"]["uid"] for panel in drawn for target in panel.get("targets", ())}
    assert asked <= known
    assert "dossierbus" in document["tags"]


def test_boards_have_names_of_their_own() -> None:
    """Links from runbooks lead to one board and one panel of it."""
    assert len({board.uid for board in BOARDS}) == len(BOARDS)
    for board in BOARDS:
        titles = Counter(panel.title for _, panel in panels(board))
        assert [title for title, count in titles.items() if count > 1 and title != "Paid, not advanced"] == []


@EVERY_PANEL
def test_panel_is_explained(board: Board, panel: Panel) -> None:
    """It says what it shows, in a known unit, and where metrics carry traces it shows them."""
    assert panel.text.endswith((".", "`dossierbus dlq list`"))
    assert panel.unit in UNITS
    assert 1 <= len(panel.queries) <= 6
    for query in panel.queries:
        if query.exemplar:
            assert "_bucket" in query.expression


@EVERY_PANEL
def test_metrics_exist(board: Board, panel: Panel) -> None:
    """Every name in a query is told by the code, and every label it groups by is one of the closed list."""
    for query in panel.queries:
        names = _metrics(query.expression)
        assert names
        assert {name for name in names if name not in SERIES and not FOREIGN.fullmatch(name)} == set()
        for labels in re.findall(r"\bby \(([^)]*)\)", query.expression):
            assert set(labels.split(", ")) <= LABELS | TARGET_LABELS


@EVERY_PANEL
def test_nothing_is_counted_twice(board: Board, panel: Panel) -> None:
    """What replicas tell alike is taken once (max), and counters are never shown bare."""
    for query in panel.queries:
        for name in _metrics(query.expression) & SERIES.keys():
            one = SERIES[name]
            uses = re.findall(rf"(\w+)(?: by \([^)]*\))? ?\({name}\b", query.expression)
            wanted = {"max"} if one.alike else {"rate", "increase"} if one.kind != "gauge" else {"sum", "max"}
            assert uses
            assert set(uses) <= wanted, query.expression


def test_every_metric_is_on_a_board() -> None:
    """Nothing is measured that nobody looks at."""
    shown = {name for _, panel in OWN for query in panel.queries for name in _metrics(query.expression)}
    assert [one.name for one in INSTRUMENTS if not one.series & shown] == []


def test_kpis_are_listed() -> None:
    """The gauges that are made when scraped are those of the inventory, with these labels."""
    totals: Totals = {"dossiers/service/received": 1, "decision/service/0": 1, "closing/service/0": 1}
    registry = CollectorRegistry()
    registry.register(KpiCollector(lambda: totals, lambda: "2026-11-21T08:00:00.000Z"))
    found = {
        family.name: {name for sample in family.samples for name in sample.labels} for family in registry.collect()
    }
    assert found == {name: set(labels) for name, (_, labels) in inventory.KPIS.items()}


def test_log_events_are_explained() -> None:
    """Each says what it means, none is left over, and its fields may be logged."""
    events = {event.name: event for event in inventory.log_events()}
    assert MEANINGS.keys() == events.keys()
    for event in events.values():
        assert set(FIELDS.get(event.name, event.fields)) <= LOGGED


def test_cluster_gets_every_board() -> None:
    """Each board is a ConfigMap under the label that Grafana's sidecar looks for."""
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    listed = [file for generated in kustomization["configMapGenerator"] for file in generated["files"]]
    assert listed == sorted(path.name for path in FOLDER.glob("*.json"))
    assert kustomization["generatorOptions"]["labels"] == {"grafana_dashboard": "1"}
