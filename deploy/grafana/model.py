"""How a board is put into Grafana's JSON: rows of panels, 24 columns wide. Knows no metric."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

PROMETHEUS: Final = {"type": "prometheus", "uid": "prometheus"}
WIDTH: Final = 24
SCHEMA_VERSION: Final = 41
_LOGS: Final = (
    "/explore?schemaVersion=1&orgId=1&panes="
    '{{"logs":{{"datasource":"loki","queries":[{{"refId":"A","expr":"{query}"}}],"range":{{"from":"${{__from}}","to":"${{__to}}"}}}}}}'
)


@dataclass(frozen=True)
class Query:
    """A PromQL query. `exemplar`: show the traces behind it as dots, each a link to its trace."""

    expression: str
    legend: str = ""
    exemplar: bool = False


@dataclass(frozen=True)
class Panel:
    """One picture. `text` says what it shows and what is normal; `limits` are (from value, colour) thresholds."""

    title: str
    text: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    limits: tuple[tuple[float, str], ...] = ()
    stacked: bool = False


@dataclass(frozen=True)
class Row:
    """Panels under a heading. `exporter`: they need an exporter of profile `full`, which no local stack has."""

    title: str
    panels: tuple[Panel, ...]
    exporter: bool = False


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a board: the values of a label; all of them unless one is chosen."""

    name: str
    label: str
    values: str


@dataclass(frozen=True)
class Board:
    """A dashboard. `logs` is the log query that its link to the logs opens."""

    uid: str
    title: str
    text: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    logs: str = '{service_name=\\"dossierbus\\"}'


def panels(board: Board) -> Iterator[tuple[Row, Panel]]:
    """Yield every panel with its row."""
    for row in board.rows:
        for panel in row.panels:
            yield row, panel


def document(board: Board) -> dict[str, Any]:
    """Return the board as Grafana reads it."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.text,
        "tags": ["dossierbus"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [_boards_link(), _logs_link(board)],
        "templating": {"list": [_variable(variable) for variable in board.variables]},
        "panels": list(_laid_out(board)),
    }


def _laid_out(board: Board) -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for row in board.rows:
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": _at(0, top),
        }
        number, top, left, tallest = number + 1, top + 1, 0, 0
        for panel in row.panels:
            height = 4 if panel.kind == "stat" else 8
            if left + panel.width > WIDTH:
                left, top, tallest = 0, top + tallest, 0
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": height})
            number, left, tallest = number + 1, left + panel.width, max(tallest, height)
        top += tallest


def _at(left: int, top: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": WIDTH, "h": 1}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": PROMETHEUS,
        "gridPos": place,
        "targets": [_target(query, letter, panel.kind) for query, letter in zip(panel.queries, "ABCDEF", strict=False)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
    }


def _target(query: Query, letter: str, kind: str) -> dict[str, Any]:
    instant = kind in ("stat", "table", "bargauge")
    return {
        "refId": letter,
        "datasource": PROMETHEUS,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "exemplar": query.exemplar,
        "instant": instant,
        "range": not instant,
        **({"format": "table"} if kind == "table" else {}),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"value": None, "color": "green"}]
    steps += [{"value": value, "color": colour} for value, colour in panel.limits]
    found: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.kind == "timeseries":
        found["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 0,
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "line" if panel.limits else "off"},
        }
    return found


def _options(kind: str) -> dict[str, Any]:
    if kind == "timeseries":
        return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none"}
    return {}


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": PROMETHEUS,
        "query": {"query": variable.values, "refId": "variable"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _boards_link() -> dict[str, Any]:
    return {"title": "Boards", "type": "dashboards", "tags": ["dossierbus"], "asDropdown": True, "keepTime": True}


def _logs_link(board: Board) -> dict[str, Any]:
    query = board.logs.replace('\\"', '\\\\\\"')
    return {"title": "Logs", "type": "link", "url": _LOGS.format(query=query), "keepTime": True, "targetBlank": True}
