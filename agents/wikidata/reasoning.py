"""The reasoning on one item, as a person reads it.

Owns the lines: what each edit was, what came of each property, and what its constraints say. Judges
nothing (`classify` did).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from agents.wikidata.classify import ItemHistory, ItemJudgement
from agents.wikidata.view import View, current_view
from knowledge.properties import CATALOGUE, Tier


def classify_explain(
    history: ItemHistory, judgement: ItemJudgement, properties: Sequence[str], today: dt.date
) -> list[str]:
    """The reasoning on one item as lines for a terminal; also what holds where nothing changed."""
    lines = [f"{history.head.id} {history.head.label}: revisions after {history.base_revision}"]
    for note in judgement.edits:
        where = f" {note.property}" if note.property else ""
        lines.append(
            f"  r{note.revision.id} {note.revision.time:%Y-%m-%d %H:%M} {note.revision.user}:"
            f"{where} {note.kind}: {note.reason}"
        )
    for slot in judgement.slots:
        rule = CATALOGUE[slot.property]
        before = current_view(slot.line.base, history.base_day, dated=rule.tier is Tier.N)
        after = current_view(
            history.head.claims.get(slot.property, ()), today, dated=rule.tier is Tier.N
        )
        lines.append(f"  {slot.property} {rule.label}: {_values(before)} -> {_values(after)}")
        for result in slot.results:
            lines.append(f"    {result.change.kind}: {result.change.reason}")
            lines += [f"      {f.kind}: {f.check}, {f.reason}" for f in result.findings]
        if not slot.results:
            lines.append("    no net change")
    changed = {slot.property for slot in judgement.slots}
    for property_id in properties:
        group = history.head.claims.get(property_id, ())
        if property_id in changed or not (group or len(properties) == 1):
            continue
        rule = CATALOGUE[property_id]
        held = current_view(group, today, dated=rule.tier is Tier.N)
        lines.append(f"  {property_id} {rule.label}: {_values(held)}, unchanged")
    return lines


def _values(view: View) -> str:
    return ", ".join(sorted(view.values)) or "nothing"
