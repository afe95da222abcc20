"""What the code tells operators, read from its source: instruments and log events. Runs nothing and imports no service.

The KPI gauges are made when they are scraped and have no call to read; they are listed here and compared by a test.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ("shared", "services")
KINDS: Final = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "age": "gauge"}
LEVELS: Final = ("debug", "info", "warning", "error", "exception")

KPIS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "dossierbus_kpi_age_seconds": ("Age of the oldest partition's share.", ()),
    "dossierbus_kpi_dossiers": ("Dossiers by service and public status.", ("service", "status")),
    "dossierbus_kpi_submitted_dossiers": ("Dossiers submitted.", ()),
    "dossierbus_kpi_decided_dossiers": ("Decided dossiers by outcome and how.", ("outcome", "kind")),
    "dossierbus_kpi_paid_waiting_dossiers": (
        "Dossiers whose fee is paid and whose status still asks for it.",
        ("service",),
    ),
    "dossierbus_kpi_decision_seconds_dossiers": ("Decided within so many seconds (cumulative).", ("service", "le")),
    "dossierbus_kpi_closing_seconds_dossiers": ("Closed within so many seconds (cumulative).", ("service", "le")),
    "dossierbus_kpi_payments": ("Payments by state.", ("state",)),
    "dossierbus_kpi_payments_rappen": ("Amount of the payments by state, in rappen.", ("state",)),
    "dossierbus_kpi_closed_dossiers": ("Closed dossiers by ending.", ("state",)),
    "dossierbus_kpi_messages": ("Messages by outcome.", ("state",)),
    "dossierbus_kpi_identity": ("Identity checks by outcome.", ("state",)),
    "dossierbus_kpi_evidence": ("Evidence fetches by outcome.", ("state",)),
    "dossierbus_kpi_reuse": ("Evidence accepted, rejected, and the fields that need not be typed.", ("state",)),
}


@dataclass(frozen=True)
class Instrument:
    """One metric. `alike`: every replica that tells it tells the same, so that queries take the maximum."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    alike: bool

    @property
    def series(self) -> frozenset[str]:
        """The names under which Prometheus stores it."""
        if self.kind == "histogram":
            return frozenset(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return frozenset({self.name})


@dataclass(frozen=True)
class LogEvent:
    """One kind of log line: its name, level, fields, and the modules that write it."""

    name: str
    level: str
    fields: tuple[str, ...]
    modules: tuple[str, ...]


# Told by every replica alike: read from the database by the lookout, or drawn from the one board of the KPIs.
_ALIKE: Final = frozenset(
    {
        "dossierbus_relay_backlog",
        "dossierbus_relay_oldest_seconds",
        "dossierbus_work_waiting",
        "dossierbus_work_oldest_due_seconds",
        "dossierbus_dead_letters",
        "dossierbus_dead_letter_dossiers",
        "dossierbus_dead_letter_oldest_seconds",
        "dossierbus_open_dossiers",
        "dossierbus_overdue_dossiers",
        "dossierbus_paid_overdue_dossiers",
        "dossierbus_open_dossier_oldest_seconds",
        "dossierbus_overdue_dossier_oldest_seconds",
        "dossierbus_open_steps",
        "dossierbus_overdue_steps",
        "dossierbus_circuit_open",
        "dossierbus_circuit_open_seconds",
        "dossierbus_consumer_lag_events",
        "dossierbus_consumer_lag_seconds",
        "dossierbus_parity_drift",
    }
)


def instruments() -> list[Instrument]:
    """Return every metric of the product, by name."""
    found = [one for _, tree in _trees() for one in _instruments(tree)]
    found += [Instrument(name, "gauge", text, labels, alike=True) for name, (text, labels) in KPIS.items()]
    return sorted(found, key=lambda one: one.name)


def log_events() -> list[LogEvent]:
    """Return every log event of the product, by name."""
    found: dict[str, LogEvent] = {}
    for module, tree in _trees():
        for name, level, fields in _log_calls(tree):
            known = found.get(name, LogEvent(name, level, (), ()))
            merged = (tuple(sorted({*known.fields, *fields})), tuple(sorted({*known.modules, module})))
            found[name] = LogEvent(name, known.level, *merged)
    return sorted(found.values(), key=lambda one: one.name)


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def _instruments(tree: ast.Module) -> Iterator[Instrument]:
    for call in _calls(tree):
        if isinstance(call.func, ast.Name) and call.func.id in KINDS and len(call.args) >= 2:
            name, text = ast.literal_eval(call.args[0]), ast.literal_eval(call.args[1])
            labels = tuple(ast.literal_eval(call.args[2])) if len(call.args) > 2 else ()
            yield Instrument(name, KINDS[call.func.id], text, labels, alike=name in _ALIKE)


def _log_calls(tree: ast.Module) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for call in _calls(tree):
        function = call.func
        if not isinstance(function, ast.Attribute) or function.attr not in LEVELS or not call.args:
            continue
        event = call.args[0]
        if isinstance(function.value, ast.Name) and function.value.id == "log" and isinstance(event, ast.Constant):
            level = "error" if function.attr == "exception" else function.attr
            yield str(event.value), level, _fields(call)


def _fields(call: ast.Call) -> tuple[str, ...]:
    extra = next((keyword.value for keyword in call.keywords if keyword.arg == "extra"), None)
    keys = extra.keys if isinstance(extra, ast.Dict) else []
    return tuple(str(key.value) for key in keys if isinstance(key, ast.Constant))


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))
