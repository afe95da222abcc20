"""Figures: rounds of ours and the limit, their medians, ratio and spread. Measures nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Result:
    """One benchmark: per round ours and the limit, in `unit`. `notes`: further figures, such as percentiles, memory."""

    name: str
    unit: str
    ours: Sequence[float]
    limit: Sequence[float]
    less_is_better: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratios(self) -> list[float]:
        """Per round how near ours comes to its limit: 1 is as good."""
        pairs = zip(self.ours, self.limit, strict=True)
        return [bound / own if self.less_is_better else own / bound for own, bound in pairs]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: both sides of one round met the same machine."""
        return median(self.ratios)

    def document(self) -> dict[str, Any]:
        """As printed with --json."""
        return {
            "ours": rounded(median(self.ours)),
            "limit": rounded(median(self.limit)),
            "ratio": round(self.ratio, 3),
            "spread": [round(min(self.ratios), 3), round(max(self.ratios), 3)],
            "unit": self.unit,
            "rounds": [[rounded(own), rounded(bound)] for own, bound in zip(self.ours, self.limit, strict=True)],
            **self.notes,
        }


def rounded(value: float) -> float:
    """Three significant digits or whole numbers: more would be noise."""
    return round(value) if value >= 100 else round(value, 2)


def medians(ours: Sequence[float], limit: Sequence[float]) -> dict[str, float]:
    """Return the medians of a further figure of both sides, such as memory or CPU time."""
    return {"ours": rounded(median(ours)), "limit": rounded(median(limit))}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(results: Sequence[Result]) -> str:
    """Return the results as Markdown."""
    lines = ["| | ours | limit | unit | ratio | spread |", "|-|-:|-:|-|-:|-|"]
    for result in results:
        found = result.document()
        low, high = found["spread"]
        figures = f"{found['ours']} | {found['limit']} | {result.unit} | {result.ratio:.2f} | {low:.2f}–{high:.2f}"
        lines.append(f"| {result.name} | {figures} |")
    lines += [f"{result.name}: {key} = {value}" for result in results for key, value in result.notes.items()]
    return "\n".join(lines)
