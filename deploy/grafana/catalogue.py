"""The tables of docs/observability.md, made from the code and the boards. `./dev contracts` writes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.grafana.generate import BOARDS
from deploy.grafana.inventory import ROOT, Instrument, instruments, log_events
from deploy.grafana.meanings import FIELDS, MEANINGS
from deploy.grafana.model import panels

PAGE: Final = ROOT / "docs" / "observability.md"
_BEGIN, _END = "<!-- {name}: made by ./dev contracts -->", "<!-- end of {name} -->"


def renewed(text: str) -> str:
    """Return the page with fresh tables. Raises ValueError when a mark is missing."""
    for name, lines in (("metrics", _metrics()), ("log events", _events()), ("boards", _boards())):
        begin, end = _BEGIN.format(name=name), _END.format(name=name)
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{PAGE.name}: the marks of {name} are missing")
        text = "\n".join([f"{before}{begin}", "", *lines, "", f"{end}{after}"])
    return text


def is_current(path: Path = PAGE) -> bool:
    """Whether the page has today's tables."""
    text = path.read_text(encoding="utf-8")
    return renewed(text) == text


def _metrics() -> Iterator[str]:
    yield "| Metric | Kind, labels | Tells | Sample query |"
    yield "|---|---|---|---|"
    for one in instruments():
        kind = ", ".join([one.kind, *(f"`{label}`" for label in one.labels)])
        yield f"| `{one.name}` | {kind} | {one.text} | `{_escaped(_sample(one))}` |"


def _sample(one: Instrument) -> str:
    labels = ", ".join(label for label in one.labels if label not in ("partition", "le"))
    by = f" by ({labels})" if labels else ""
    if one.kind == "counter":
        return f"sum{by} (rate({one.name}[5m]))"
    if one.kind == "histogram":
        return f"histogram_quantile(0.95, sum by (le{', ' + labels if labels else ''}) (rate({one.name}_bucket[5m])))"
    return f"{'max' if one.alike else 'sum'}{by} ({one.name})"


def _events() -> Iterator[str]:
    yield "| Event | Level | Fields | Means | Sample query |"
    yield "|---|---|---|---|---|"
    for event in log_events():
        fields = ", ".join(f"`{field}`" for field in FIELDS.get(event.name, event.fields)) or "none"
        query = f'{{service_name="dossierbus"}} \\| event="{event.name}"'
        yield f"| `{event.name}` | {event.level} | {fields} | {MEANINGS.get(event.name, '')} | `{query}` |"


def _boards() -> Iterator[str]:
    yield "| Board | Row | Panel | Shows |"
    yield "|---|---|---|---|"
    for board in BOARDS:
        for row, panel in panels(board):
            yield f"| {board.title.removeprefix('Dossierbus: ')} | {row.title} | {panel.title} | {panel.text} |"


def _escaped(query: str) -> str:
    return query.replace("|", "\\|")
