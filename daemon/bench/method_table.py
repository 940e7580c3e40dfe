"""The comparison of methods as one HTML table with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import escape

from daemon.bench.pooling import Pooled
from evaluator.metrics import ABOUT, LOWER_IS_BETTER, Estimate, Metric

COLUMNS = (
    Metric.EFFICACY,
    Metric.PARAPHRASE,
    Metric.H_ACC,
    Metric.M_ACC,
    Metric.M_ACC_ANY,
    Metric.BEFORE,
    Metric.CHECK,
    Metric.CONFLICT,
    Metric.RATIONALE,
    Metric.RECALL,
    Metric.SRR,
    Metric.SRR_ANY,
    Metric.SRR_REFERENCE,
    Metric.LOCALITY_NEIGHBOUR,
    Metric.LOCALITY_UNRELATED,
)
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1d2430;background:#fff}
table{border-collapse:collapse}th,td{padding:.4rem .7rem;text-align:right;vertical-align:top}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:#fff}
thead th{border-bottom:2px solid #1d2430;font-weight:600}
tbody tr+tr td{border-top:1px solid #dde2ea}
small{display:block;color:#5a6575}.scroll{overflow-x:auto}td.best{background:#e8f3ec}
p{max-width:46rem}@media (prefers-color-scheme:dark){body,th:first-child,td:first-child{
background:#12161d;color:#e6eaf0}small{color:#9aa6b5}td.best{background:#1d3327}
thead th{border-color:#e6eaf0}tbody tr+tr td{border-color:#2a323d}}"""


def write_table(pooled: Sequence[Pooled], path: Path, title: str) -> Path:
    """The table as a page that needs nothing else. Methods in the given order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_table(pooled, title), encoding="utf-8")
    return path


def render_table(pooled: Sequence[Pooled], title: str) -> str:
    best = {metric: _best(metric, pooled) for metric in COLUMNS}
    heads = "".join(
        f'<th title="{escape(ABOUT[m])}">{escape(m.value.replace("_", " "))}'
        f"<small>{'lower' if m in LOWER_IS_BETTER else 'higher'} is better</small></th>"
        for m in COLUMNS
    )
    body = "".join(_line(one, best) for one in pooled)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
        "<p>Every figure was judged from greedily generated text by the evaluator's rules. Below "
        "each stands the 95 % interval, clustered by edit; seeds are averaged within an edit. "
        "Marked: the best of those that train.</p>"
        f'<div class="scroll"><table><thead><tr><th>method</th><th>edits</th><th>seeds</th>{heads}'
        "<th>skills<small>worse / better of items</small></th><th>training</th>"
        f"<th>sampled tokens</th></tr></thead><tbody>{body}</tbody></table></div></html>\n"
    )


def _line(one: Pooled, best: dict[Metric, float | None]) -> str:
    cells = "".join(_cell(one.metrics[m], one.metrics[m].value == best[m]) for m in COLUMNS)
    asked = one.skills
    skills = f"{asked.worse} / {asked.better} of {asked.items}" if asked else "not run"
    return (
        f"<tr><td><strong>{escape(one.method)}</strong><small>{escape(one.recipe)}</small></td>"
        f"<td>{one.edits}</td><td>{one.seeds}</td>{cells}<td>{skills}</td>"
        f"<td>{one.train_s:.0f} s</td><td>{one.sampled_tokens:,.0f}</td></tr>"
    )


def _cell(found: Estimate, best: bool) -> str:
    if found.value is None:
        return "<td>-</td>"
    mark = ' class="best"' if best else ""
    span = f"{100 * found.low:.1f} to {100 * found.high:.1f}"
    return f"<td{mark}>{100 * found.value:.1f} %<small>{span}</small></td>"


def _best(metric: Metric, pooled: Sequence[Pooled]) -> float | None:
    found = [
        value
        for one in pooled
        if one.method != "in-context" and (value := one.metrics[metric].value) is not None
    ]
    if len(found) < 2:
        return None
    return min(found) if metric in LOWER_IS_BETTER else max(found)
