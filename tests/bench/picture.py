"""The picture of growth as SVG: stored dossiers against CPU time per new one. Draws what it is given."""

from collections.abc import Sequence
from math import log10

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 130, 30, 50
COLOURS = ("#1b5e9b", "#b3541e")
NAMES = ("intake api", "MongoDB")


def draw(points: Sequence[tuple[int, float, float]]) -> str:
    """Return an SVG of (stored dossiers, role's CPU ms, database's CPU ms): one line each, stored on a log scale."""
    top = 1.25 * max(max(role, mongo) for _, role, mongo in points)
    low, high = log10(points[0][0]), log10(points[-1][0])

    def across(stored: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (log10(stored) - low) / max(high - low, 0.001)

    def down(milliseconds: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * milliseconds / top

    parts = [
        _text(LEFT, 18, "CPU milliseconds per new dossier"),
        _text(LEFT + 110, HEIGHT - 8, "dossiers stored before"),
    ]
    for share in range(5):
        level = top * share / 4
        parts.append(f'<path d="M{LEFT} {down(level):.1f}H{WIDTH - RIGHT}" stroke="#ccc"/>')
        parts.append(_text(LEFT - 8, down(level) + 4, f"{level:.1f}", "end"))
    parts += [_text(across(stored), HEIGHT - BOTTOM + 18, f"{stored:,}", "middle") for stored, _, _ in points]
    for place, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True)):
        line = [(across(point[0]), down(point[place + 1])) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in line]
        parts.append(_text(line[-1][0] + 10, line[-1][1] + 4, name))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="CPU time per new dossier against stored dossiers" font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222">{text}</text>'
