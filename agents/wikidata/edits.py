"""What one edit did to one property, apart from what the property came to in the end.

Owns the class of a single edit and whether an edit can be part of a change of holder. Pure.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from agents.wikidata.diff import EntityDiff, Touched
from agents.wikidata.history import Revision, Timeline, Touch
from agents.wikidata.pairs import coarser_equal, judge_pair
from agents.wikidata.risk import is_unconfirmed
from agents.wikidata.side import Facts
from agents.wikidata.view import END, START, Phase, is_acting, phase, qualifier_date, value_key
from knowledge.facts import ChangeKind, Rank, Snak, Statement
from knowledge.properties import Property

_OF_A_CHANGE = frozenset({START, END, "P1534", "P1365", "P1366"})
"""Qualifiers whose arrival is a part of a change of holder: dates, end cause, neighbours."""


@dataclass(frozen=True, slots=True)
class EditClass:
    kind: ChangeKind
    reason: str


def contributes(one: Touched) -> bool:
    """Whether what happened to a statement can be a step of a change of holder: it came, went,
    changed value or rank, or got a date; not if a date was only said finer."""
    if one.before is None or one.after is None or one.revalued or one.reranked:
        return True
    return any(
        q.property in _OF_A_CHANGE and not _refines(q, one.qualifiers_removed)
        for q in one.qualifiers_added
    )


def completes(one: Touched, old_statement: str | None, new_statement: str | None) -> bool:
    """Whether an edit carries a change on that has settled: the old statement is ended or ranked
    lower, the new one dated or ranked higher."""
    if one.before is None or one.after is None or one.revalued:
        return False
    added = {q.property for q in one.qualifiers_added if not _refines(q, one.qualifiers_removed)}
    if one.id == old_statement:
        lower = one.reranked and one.before.rank is Rank.PREFERRED
        return lower or bool(added & {END, "P1366", "P1534"})
    if one.id == new_statement:
        higher = one.reranked and one.after.rank is Rank.PREFERRED
        return higher or bool(added & {START, "P1365"})
    return False


def classify_touch(
    touch: Touch, line: Timeline, rule: Property, facts: Facts, today: dt.date
) -> EditClass | None:
    """The class of a surviving edit by what it did itself; None when that says nothing."""
    before = _before(touch, line)
    for one in touch.diff.changed:
        if one.revalued and one.before and one.after:
            pair = judge_pair(one.before.mainsnak, one.after.mainsnak, facts, in_place=True)
            if pair:
                return EditClass(pair.kind, pair.reason)
            return _by_editor(touch.revision, "value overwritten in place")
    for one in touch.diff.added:
        if one.after is not None:
            return _added(one.after, before, rule, touch.revision, facts, today)
    if touch.diff.removed:
        return EditClass(ChangeKind.CORRECTION, "a statement was removed, not ended")
    for one in touch.diff.changed:
        if one.reranked:
            return EditClass(ChangeKind.RANK_ONLY, "rank changed, the value that holds did not")
    for one in touch.diff.changed:
        found = _qualified(one, today)
        if found:
            return found
    return None


def plain_edit(found: EntityDiff, revision: Revision) -> tuple[str, str]:
    """Kind and reason of an edit that left the meaning of all watched properties alone."""
    if revision.doc is not None and revision.doc.redirect_to:
        return ChangeKind.MERGE, f"the item was merged into {revision.doc.redirect_to}"
    if any(not d.semantic for d in found.claims.values()) and all(
        not d.semantic for d in found.claims.values()
    ):
        return "reference", "only references changed"
    if found.claims:
        return "unwatched", f"touches {', '.join(sorted(found.claims))}, not a watched value"
    if found.labels:
        return "label", "only labels or aliases changed"
    if found.other:
        return "description", "only descriptions or sitelinks changed"
    return ChangeKind.NO_CHANGE, "nothing changed in canonical form"


def _added(
    new: Statement,
    before: tuple[Statement, ...],
    rule: Property,
    revision: Revision,
    facts: Facts,
    today: dt.date,
) -> EditClass | None:
    running = [s for s in before if phase(s, today) is Phase.RUNNING]
    if any(value_key(s) == value_key(new) for s in before if s.rank is not Rank.DEPRECATED):
        return EditClass(ChangeKind.DUPLICATE, "the same value is already there")
    for other in running:
        pair = judge_pair(other.mainsnak, new.mainsnak, facts)
        if pair:
            return EditClass(pair.kind, pair.reason)
    if is_acting(new):
        return EditClass(ChangeKind.ACTING, "the holder is qualified as acting")
    if phase(new, today) is Phase.NOT_STARTED:
        start = qualifier_date(new, START)
        when = start.iso() if start else "an unknown day"
        return EditClass(ChangeKind.NOT_STARTED, f"starts on {when}, which is still to come")
    if phase(new, today) is Phase.ENDED:
        return EditClass(ChangeKind.NO_CHANGE, "a past value was added")
    if rule.functional and running and qualifier_date(new, START) is None:
        return EditClass(
            ChangeKind.DUPLICATE, "a further value without dates beside one that still holds"
        )
    if is_unconfirmed(revision.editor):
        return EditClass(ChangeKind.VANDALISM_SUSPECT, f"added by {revision.editor} editor, alone")
    return None


def _qualified(one: Touched, today: dt.date) -> EditClass | None:
    for added in one.qualifiers_added:
        if _refines(added, one.qualifiers_removed):
            return EditClass(ChangeKind.GRANULARITY, f"{added.property} says the same date finer")
        date = added.date()
        if date is not None and date.earliest() > today and added.property in (START, END):
            return EditClass(
                ChangeKind.NOT_STARTED, f"{added.property} is {date.iso()}, which is still to come"
            )
    if one.qualifiers_added or one.qualifiers_removed:
        names = {q.property for q in one.qualifiers_added | one.qualifiers_removed}
        return EditClass(
            ChangeKind.CORRECTION, f"qualifier {', '.join(sorted(names))} only, the value stays"
        )
    return None


def _by_editor(revision: Revision, what: str) -> EditClass:
    if is_unconfirmed(revision.editor):
        return EditClass(ChangeKind.VANDALISM_SUSPECT, f"{what} by {revision.editor} editor")
    return EditClass(ChangeKind.CORRECTION, f"{what}, with no sign of a change in the world")


def _refines(added: Snak, removed: frozenset[Snak]) -> bool:
    new = added.date()
    return new is not None and any(
        old.property == added.property and (date := old.date()) and coarser_equal(date, new)
        for old in removed
    )


def _before(touch: Touch, line: Timeline) -> tuple[Statement, ...]:
    state = line.base
    for other in line.touches:
        if other is touch:
            break
        state = other.after
    return state
