"""Charts as inline SVG, drawn on the server: curves of a training, intervals of gate criteria.

Owns geometry. Colours are classes of the style sheet; nothing here carries a style of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 560, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 28


def curve(points: Sequence[tuple[float, float]], *, title: str, x_unit: str = "step") -> Markup:
    """A line over its points, from zero up; a text where there are fewer than two."""
    points = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if len(points) < 2:
        return Markup('<p class="quiet">Too few points for a curve yet.</p>')
    scale = _Scale.over(points)
    path = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in points)
    last_x, last_y = points[-1]
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">',
        *(_gridline(scale, value) for value in scale.ticks()),
        f'<text class="axis" x="{_LEFT}" y="{HEIGHT - 8}">{x_unit} {points[0][0]:g}</text>',
        f'<text class="axis end" x="{WIDTH - _RIGHT}" y="{HEIGHT - 8}">{x_unit} {last_x:g}</text>',
        f'<polyline class="line" points="{path}"/>',
        f'<circle class="dot" cx="{scale.x(last_x):.1f}" cy="{scale.y(last_y):.1f}" r="3"/>',
        "</svg>",
    ]
    return Markup("".join(parts))


def interval(low: float, value: float | None, high: float, bar: float, *, at_most: bool) -> Markup:
    """One criterion: its interval, the value in it, and the bar with the side that passes."""
    ends = [x for x in (low, high, bar, value) if x is not None and math.isfinite(x)]
    if not ends:
        return Markup("")
    least, most = min(*ends, 0.0), max(*ends, 0.0)
    span = (most - least) or 1.0
    least, most = least - 0.04 * span, most + 0.04 * span

    def at(x: float) -> float:
        return 200 * (min(max(x, least), most) - least) / (most - least)

    good_from, good_to = (0.0, at(bar)) if at_most else (at(bar), 200.0)
    parts = [
        '<svg class="interval" viewBox="0 0 200 18" preserveAspectRatio="none" aria-hidden="true">',
        f'<rect class="good" x="{good_from:.1f}" y="2" width="{good_to - good_from:.1f}" '
        'height="14"/>',
        f'<line class="span" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="9" y2="9"/>',
        f'<line class="bar" x1="{at(bar):.1f}" x2="{at(bar):.1f}" y1="1" y2="17"/>',
    ]
    if value is not None and math.isfinite(value):
        parts.append(f'<rect class="value" x="{at(value) - 2:.1f}" y="4" width="4" height="10"/>')
    return Markup("".join([*parts, "</svg>"]))


@dataclass(frozen=True, slots=True)
class _Scale:
    """From data to the drawing: x from its least to its most, y from zero to its most."""

    x0: float
    x1: float
    top: float

    @classmethod
    def over(cls, points: Sequence[tuple[float, float]]) -> _Scale:
        xs = [x for x, _ in points]
        return cls(min(xs), max(xs), _round_up(max(y for _, y in points)))

    def x(self, value: float) -> float:
        share = (value - self.x0) / ((self.x1 - self.x0) or 1.0)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - max(value, 0.0) / self.top * (HEIGHT - _TOP - _BOTTOM)

    def ticks(self) -> list[float]:
        return [self.top * part / 2 for part in range(3)]


def _gridline(scale: _Scale, value: float) -> str:
    y = scale.y(value)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="axis end" x="{_LEFT - 8}" y="{y + 4:.1f}">{value:g}</text>'
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))
