"""The picture of a soak as SVG: a panel per role with the memory it gained, and one of lag. Draws what it is given."""

from collections.abc import Sequence
from typing import Final

from deploy.local.roles import ROLES
from deploy.local.soak.figures import slope
from deploy.local.soak.samples import Sample, held, steady

COLUMNS: Final = 4
PANEL: Final = (220, 130)
LEFT, RIGHT, TOP, BOTTOM = 34, 10, 36, 18
MEMORY, LAG = "#1b5e9b", "#b3541e"
GREY, WARM = "#ccc", "#f2f2f2"
HEAD: Final = 34
LEAST_SPAN_MB: Final = 10.0

Points = Sequence[tuple[float, float]]


def draw(samples: Sequence[Sample]) -> str:
    """Return an SVG of the held time: MB that each role gained, and seconds of lag. Empty without two samples."""
    kept = held(samples)
    if len(kept) < 2:
        return ""
    begun = kept[0].seconds
    warm = (steady(samples)[0].seconds - begun) / 60
    gains = {
        name: [((one.seconds - begun) / 60, (one.rss[name] - kept[0].rss[name]) / 1e6) for one in kept]
        for name in ROLES
        if name in kept[0].rss
    }
    low = min(0.0, *(mb for points in gains.values() for _, mb in points))
    high = max(low + LEAST_SPAN_MB, *(mb for points in gains.values() for _, mb in points))
    panels = []
    for name, points in gains.items():
        a_dossier = slope(steady(samples), lambda one: float(one.ended), lambda one, name=name: float(one.rss[name]))  # type: ignore[misc]
        told = (
            f"{kept[0].rss[name] / 1e6:.0f} to {kept[-1].rss[name] / 1e6:.0f} MB, {a_dossier / 1000:+.1f} kB a dossier"
        )
        panels.append(_panel(name.replace("-", " "), told, points, (low, high), warm, MEMORY))
    lag = [((one.seconds - begun) / 60, one.lag) for one in kept]
    longest = max(seconds for _, seconds in lag)
    panels.append(_panel("consumer lag", f"at most {longest:.1f} s", lag, (0.0, max(1.0, longest)), warm, LAG))
    return _page(panels, kept[-1].rate, kept[-1].ended - kept[0].ended)


def _page(panels: Sequence[str], rate: float, dossiers: int) -> str:
    width, height = PANEL
    rows = -(-len(panels) // COLUMNS)
    placed = [
        f'<g transform="translate({number % COLUMNS * width},{HEAD + number // COLUMNS * height})">{panel}</g>'
        for number, panel in enumerate(panels)
    ]
    title = (
        f"MB gained by each role, and seconds of lag, at {rate:.2f} dossiers a second "
        f"({dossiers:,} dossiers; grey: warm-up)"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * width} {HEAD + rows * height}" role="img" '
        f'aria-label="{title}" font-family="sans-serif" font-size="10">'
        f'<rect width="100%" height="100%" fill="#fff"/>{_text(LEFT, 20, title, size=13)}{"".join(placed)}</svg>\n'
    )


def _panel(name: str, told: str, points: Points, span: tuple[float, float], warm: float, colour: str) -> str:
    """One small picture: `points` in minutes and in units of `span`, which is its lowest and highest value."""
    width, height = PANEL
    low, high = span
    last = points[-1][0]

    def across(minute: float) -> float:
        return LEFT + (width - LEFT - RIGHT) * minute / last

    def down(value: float) -> float:
        return height - BOTTOM - (height - TOP - BOTTOM) * (value - low) / (high - low)

    grey = f'width="{across(warm) - LEFT:.1f}" height="{height - TOP - BOTTOM}" fill="{WARM}"'
    parts = [
        f'<rect x="{LEFT}" y="{TOP}" {grey}/>',
        _text(LEFT, 16, name, size=11),
        _text(LEFT, 29, told),
        _text(across(last), height - 5, f"{last:.0f} min" if last >= 1 else f"{60 * last:.0f} s", "end"),
    ]
    for level in (low, (low + high) / 2, high):
        parts.append(f'<path d="M{LEFT} {down(level):.1f}H{width - RIGHT}" stroke="{GREY}"/>')
        parts.append(_text(LEFT - 4, down(level) + 3, f"{level:.1f}" if high - low < 10 else f"{level:.0f}", "end"))
    path = " ".join(f"{across(minute):.1f},{down(value):.1f}" for minute, value in points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 10) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222">{text}</text>'
