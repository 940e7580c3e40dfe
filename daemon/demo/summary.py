"""The demo's closing tables. Owns their layout; the numbers are `result`'s."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daemon.demo.result import DemoResult

_SHOWN_ROWS = 24


def show(out: Console, result: DemoResult) -> None:
    """Print everything that was found, answered, measured and decided."""
    out.print(_found(result))
    if result.shown:
        out.print(_answers(result))
    if result.measures:
        out.print(_measures(result))
    if result.criteria:
        out.print(_criteria(result))
    out.print(_times(result))


def _found(result: DemoResult) -> Table:
    found = result.found
    table = Table(title="What changed on Wikidata", title_justify="left")
    table.add_column("edits")
    table.add_column("count", justify="right")
    table.add_row("seen", str(found.edits_seen))
    table.add_row("part of a real change", str(found.kept))
    for reason, count in sorted(found.dismissed.items(), key=lambda pair: (-pair[1], pair[0])):
        table.add_row(f"dismissed: {reason.replace('_', ' ')}", str(count))
    hits = found.expected - len(found.misses)
    table.add_section()
    table.add_row("real changes found", f"{hits} of {found.expected}")
    table.add_row("false changes kept", str(len(found.false_keeps)))
    return table


def _answers(result: DemoResult) -> Table:
    table = Table(title="The same question before and after", title_justify="left")
    for name in ("question", "before", "after", "expected"):
        table.add_column(name, overflow="fold")
    table.add_column("", justify="center")
    for shown in result.shown[:_SHOWN_ROWS]:
        mark = "[green]right[/]" if shown.right_after else "[red]wrong[/]"
        table.add_row(
            *map(escape, (shown.question, shown.before, shown.after, shown.expected)), mark
        )
    return table


def _measures(result: DemoResult) -> Table:
    table = Table(title="Measured on generated text", title_justify="left")
    table.add_column("measure")
    for number in range(1, 1 + len(result.measures[0].by_release)):
        table.add_column(f"release {number}: before", justify="right")
        table.add_column("after", justify="right")
    table.add_column("better")
    for measure in result.measures:
        values = [value for pair in measure.by_release for value in pair]
        table.add_row(measure.name, *map(_number, values), measure.better)
    return table


def _criteria(result: DemoResult) -> Table:
    table = Table(title="The gate", title_justify="left")
    for name in ("release", "criterion", "value", "limit", "verdict", "detail"):
        table.add_column(name)
    for line in result.criteria:
        style = {"pass": "green", "fail": "red"}.get(line.verdict, "yellow")
        cells = (str(line.release), line.name, line.value, line.limit)
        table.add_row(*map(escape, cells), f"[{style}]{line.verdict}[/]", escape(line.detail))
    return table


def _times(result: DemoResult) -> Table:
    table = Table(title="Time", title_justify="left")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for name, seconds in result.took_s.items():
        table.add_row(name, f"{seconds:.1f}")
    if result.rolled:
        table.add_section()
        table.add_row("rollback, command to first answer", _seconds(result.rolled.back_s))
        table.add_row("promotion again, the same", _seconds(result.rolled.again_s))
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _seconds(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"
