"""Plots of a report as inline SVG: criteria against their bars, and metrics before and after.

Owns geometry only; colours and fonts come from the page's style sheet, so that light, dark and
print follow the page. Plots need no script and no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from evaluator.criteria import Criterion, Outcome
from evaluator.metrics import LOWER_IS_BETTER, Estimate, Metric
from evaluator.wording import METRIC_TITLES, criterion_title, percent, points

_LABEL, _PLOT, _SIDE, _ROW, _TOP = 246.0, 420.0, 214.0, 38.0, 30.0
_WIDTH = _LABEL + _PLOT + _SIDE


@dataclass(frozen=True, slots=True)
class _Axis:
    """Maps values of `low`..`high` to the plot's columns; values outside are cut at its edge."""

    low: float
    high: float

    def x(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return _LABEL + share * _PLOT


def _text(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def _svg(height: float, title: str, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(body)}</svg>'
    )


def criteria_plot(criteria: Sequence[Criterion]) -> str:
    """Each criterion as value, interval and bar; the side of the bar that passes is tinted.

    Shares have one axis from 0 to 100 %; differences against production have each their own.
    """
    shares = [c for c in criteria if not c.relative and c.value is not None]
    changes = [c for c in criteria if c.relative and c.value is not None]
    body: list[str] = []
    y = _TOP
    if shares:
        axis = _Axis(0.0, 1.0)
        body += _ticks(axis, y - 8, y + _ROW * len(shares))
        for criterion in shares:
            body += _criterion_row(criterion, axis, y)
            y += _ROW
    if changes:
        y += 30 if shares else 0
        body.append(
            _text(_LABEL, y - 12, "difference to production, each on its own scale", "tick")
        )
        for criterion in changes:
            reach = max(abs(criterion.low), abs(criterion.high), abs(criterion.bar), 0.01) * 1.15
            body += _criterion_row(criterion, _Axis(-reach, reach), y)
            y += _ROW
    return _svg(y + 6, "Criteria against their bars, with intervals", body)


def _ticks(axis: _Axis, top: float, bottom: float) -> list[str]:
    body: list[str] = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = axis.x(share)
        body.append(_line(x, top, x, bottom, "grid"))
        body.append(_text(x, top - 6, percent(share), "tick", "middle"))
    return body


def _criterion_row(criterion: Criterion, axis: _Axis, y: float) -> list[str]:
    middle = y + _ROW / 2
    css = criterion.outcome.value
    value = criterion.value or 0.0
    bar = axis.x(criterion.bar)
    left, right = (_LABEL, bar) if criterion.op == "<=" else (bar, _LABEL + _PLOT)
    show = points if criterion.relative else percent
    op = "≤" if criterion.op == "<=" else "≥"
    body = [
        _text(0, middle + 4, criterion_title(criterion.name), "name"),
        f'<rect x="{left:.1f}" y="{y + 7:.1f}" width="{max(right - left, 0):.1f}" '
        f'height="{_ROW - 14:.1f}" class="zone"/>',
    ]
    if criterion.relative:
        body.append(_line(axis.x(0), y + 7, axis.x(0), y + _ROW - 7, "grid"))
    body += [
        _line(axis.x(criterion.low), middle, axis.x(criterion.high), middle, f"ci {css}"),
        _line(bar, y + 4, bar, y + _ROW - 4, "bar"),
        f'<circle cx="{axis.x(value):.1f}" cy="{middle:.1f}" r="5" class="dot {css}"/>',
        _text(
            _LABEL + _PLOT + 18, middle + 4, f"{show(value)}  {op} {show(criterion.bar)}", "value"
        ),
        _text(_WIDTH, middle + 4, _MARKS[criterion.outcome], f"value {css}", "end"),
    ]
    return body


_MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?"}


def before_after_plot(
    metrics: Sequence[Metric],
    before: dict[Metric, Estimate],
    after: dict[Metric, Estimate],
) -> str:
    """Each metric before (ring) and after (dot) on one axis from 0 to 100 %, with the interval of
    the latter. Metrics without a value in both versions are left out."""
    rows = [m for m in metrics if after[m].value is not None]
    axis = _Axis(0.0, 1.0)
    body = _ticks(axis, _TOP - 8, _TOP + _ROW * len(rows))
    y = _TOP
    for metric in rows:
        middle = y + _ROW / 2
        new, old = after[metric], before[metric]
        assert new.value is not None
        body.append(_text(0, middle + 4, METRIC_TITLES[metric], "name"))
        body.append(_line(axis.x(new.low), middle, axis.x(new.high), middle, "ci faint"))
        said = percent(new.value)
        if old.value is not None:
            css = "better" if _better(metric, old.value, new.value) else "worse"
            body.append(_line(axis.x(old.value), middle, axis.x(new.value), middle, f"move {css}"))
            body.append(
                f'<circle cx="{axis.x(old.value):.1f}" cy="{middle:.1f}" r="4.5" class="ring"/>'
            )
            said = f"{percent(old.value)} → {said}"
        body.append(f'<circle cx="{axis.x(new.value):.1f}" cy="{middle:.1f}" r="5" class="dot"/>')
        body.append(_text(_LABEL + _PLOT + 18, middle + 4, said, "value"))
        body.append(_text(_WIDTH, middle + 4, f"n = {new.n}", "tick", "end"))
        y += _ROW
    return _svg(y + 6, "Metrics before and after", body)


def _better(metric: Metric, old: float, new: float) -> bool:
    return new <= old if metric in LOWER_IS_BETTER else new >= old


def trend_plot(
    metrics: Sequence[Metric], versions: Sequence[tuple[str, dict[Metric, float]]]
) -> str:
    """One small row a metric over the versions, oldest at the left; all rows from 0 to 100 %."""
    rows = [m for m in metrics if any(m in values for _, values in versions)]
    height, y = 54.0, _TOP
    step = _PLOT / max(1, len(versions) - 1)
    columns = [_LABEL + step * i if len(versions) > 1 else _LABEL for i in range(len(versions))]
    body = [
        _text(x, _TOP - 12, label, "tick", "middle")
        for x, (label, _) in zip(columns, versions, strict=True)
    ]
    for metric in rows:
        top, bottom = y + 8, y + height - 8
        found = [
            (x, bottom - values[metric] * (bottom - top), values[metric])
            for x, (_, values) in zip(columns, versions, strict=True)
            if metric in values
        ]
        body.append(_text(0, (top + bottom) / 2 + 4, METRIC_TITLES[metric], "name"))
        body += [_line(_LABEL, edge, _LABEL + _PLOT, edge, "grid") for edge in (top, bottom)]
        points_ = " ".join(f"{x:.1f},{at:.1f}" for x, at, _ in found)
        body.append(f'<polyline points="{points_}" class="trend"/>')
        body += [
            f'<circle cx="{x:.1f}" cy="{at:.1f}" r="3.5" class="dot"><title>{percent(v)}</title>'
            "</circle>"
            for x, at, v in found
        ]
        body.append(
            _text(_LABEL + _PLOT + 18, (top + bottom) / 2 + 4, percent(found[-1][2]), "value")
        )
        y += height
    return _svg(y + 6, "Trend over versions", body)
