"""Labelled edits of values against the reading of `agents.wikidata.value_edits`.

Owns the scores: macro-F1 of "another fact" against "the same fact said otherwise" over all rows (a
held reading counts as what it leans to), precision and coverage of the decided items, and the
confusion matrices. The reading sees both values, their names and the property, nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from agents.wikidata.entity import EntityDoc
from agents.wikidata.side import SideFacts
from agents.wikidata.value_edits import ValueEdit, read_value_edit
from daemon.bench.rows import Op, Row
from daemon.bench.watch_data import UPDATE, LabelledEdit, labelled_edits, recorded

FILES = "value-changes-labelled*.csv"
POOLED, TIMES, ITEMS, DECIDED = 0.88, 0.945, 0.72, 0.90


@dataclass(frozen=True, slots=True)
class Read:
    """A row and how it was read."""

    edit: LabelledEdit
    found: ValueEdit


def labelled_rows(show: Callable[[Table], None] | None = None) -> list[Row]:
    """The rows of the bench; skipped ones where no file is at hand."""
    files = recorded(FILES)
    if not files:
        return [_row("labelled edits, pooled macro-F1", None, POOLED, f"no {FILES} at hand")]
    read = [Read(edit, _read(edit)) for path in files for edit in labelled_edits(path)]
    for table in _matrices(read):
        (show or Console().print)(table)
    times = [r for r in read if r.edit.datatype == "time"]
    items = [r for r in read if r.edit.datatype == "wikibase-entityid"]
    figures = [r for r in read if r.edit.datatype == "quantity"]
    decided = [r for r in items if not r.found.held]
    share = len(decided) / len(items) if items else 0.0
    rows = [
        _row("labelled edits, pooled macro-F1", _f1(read), POOLED, _beside(read)),
        _row("labelled edits, times, macro-F1", _f1(times), TIMES, _beside(times)),
        _row("labelled edits, items, macro-F1", _f1(items), ITEMS, _beside(items)),
        _row(
            "labelled edits, items, precision of the decided",
            _right(decided),
            DECIDED,
            f"coverage {share:.3f}: {len(decided)} of {len(items)}",
        ),
    ]
    if figures:
        rows[0] = _row(
            rows[0].what,
            rows[0].value,
            POOLED,
            f"{rows[0].detail}; quantities {_f1(figures):.3f} ({_beside(figures)})",
        )
    return rows


def _read(edit: LabelledEdit) -> ValueEdit:
    """As the watch reads it, with nothing at hand but the names of the two values."""
    named = ((edit.old.value, edit.old_label), (edit.new.value, edit.new_label))
    docs = {i: EntityDoc(i, labels={"en": name}) for i, name in named if name}
    return read_value_edit(edit.property, edit.old, edit.new, SideFacts(docs))


def macro_f1(pairs: Iterable[tuple[bool, bool]]) -> float | None:
    """Mean of the F1 of both classes over (found, true) pairs; None without any."""
    counts = Counter(pairs)
    if not counts:
        return None
    scores = []
    for side in (True, False):
        hits = counts[side, side]
        missed = counts[not side, side] + counts[side, not side]
        scores.append(2 * hits / (2 * hits + missed) if hits else 0.0)
    return sum(scores) / 2


def _f1(read: Sequence[Read]) -> float | None:
    return macro_f1((r.found.update, r.edit.is_update) for r in read)


def _right(read: Sequence[Read]) -> float | None:
    if not read:
        return None
    return sum(r.found.update == r.edit.is_update for r in read) / len(read)


def _beside(read: Sequence[Read]) -> str:
    told = [r for r in read if r.edit.machine]
    machine = macro_f1((r.edit.machine == UPDATE, r.edit.is_update) for r in told)
    return f"{len(read)} edits" + ("" if machine is None else f"; the LLM column {machine:.3f}")


def _matrices(read: Sequence[Read]) -> Iterable[Table]:
    for datatype in sorted({r.edit.datatype for r in read}):
        part = [r for r in read if r.edit.datatype == datatype]
        kinds = sorted({str(r.found.kind) for r in part})
        counts = Counter((r.edit.label, str(r.found.kind)) for r in part)
        table = Table(title=f"{datatype}: labelled by people / read as", title_justify="left")
        for name in ("", *kinds):
            table.add_column(name, justify="right" if name else "left")
        for label in sorted({r.edit.label for r in part}):
            table.add_row(label, *(str(counts[label, kind] or "") for kind in kinds))
        yield table


def _row(what: str, value: float | None, bar: float, detail: str) -> Row:
    figure = None if value is None else round(value, 4)
    return Row(what=what, value=figure, unit="", bar=bar, op=Op.AT_LEAST, detail=detail)
