"""Every edit of a watched item gets one verdict, every changed property one net result.

Owns the attribution of net decisions to the edits that made them, and the class of each other edit.
Pure. Does not wait, store or emit (`gate`, `agents.watch`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agents.ledger import BulkRun
from agents.wikidata.constraints import Finding
from agents.wikidata.decide import Case, Decision, decide, next_start
from agents.wikidata.diff import Touched, diff_entities, state_key
from agents.wikidata.edits import EditClass, classify_touch, completes, contributes, plain_edit
from agents.wikidata.entity import EntityDoc, is_item_value
from agents.wikidata.history import Revision, Timeline, Touch, timeline
from agents.wikidata.references import by_references
from agents.wikidata.risk import is_unconfirmed
from agents.wikidata.side import Facts
from agents.wikidata.value_edits import ValueEdit, read_value_edit
from agents.wikidata.view import END, START, qualifier_date, value_key
from knowledge.facts import ChangeKind, Entity, FactChange, SnakKind, Statement
from knowledge.properties import CATALOGUE, Property, Tier

RETRACT_DAYS = 28
"""How long an emitted change is watched for a way back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted:
    """A change of a property that has settled, kept to recognise its completion or retraction."""

    old: str | None
    new: str | None
    old_statement: str | None
    new_statement: str | None
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemHistory:
    """All that is known of one item. `revisions` are oldest first; the first may be the base
    revision itself, whose content is the parent of the next."""

    base: EntityDoc
    base_revision: int
    head: EntityDoc
    revisions: Sequence[Revision]
    starts: Mapping[str, int] = field(default_factory=dict)
    """Property -> the revision up to which its base state was accepted, where not the base's."""
    accepted_on: Mapping[str, dt.date] = field(default_factory=dict)
    base_day: dt.date
    emitted: Mapping[str, Emitted] = field(default_factory=dict)
    legacy: bool = False
    """The base is what held on `base_day`, not the state of `base_revision`: the edits between are
    not at hand, and what is unedited since then has stood since its last edit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetResult:
    """One net difference of one property, with the edits that made it."""

    change: FactChange
    decision: Decision
    edits: tuple[int, ...]
    since: dt.datetime | None
    unconfirmed: bool
    """No editor with an account took part."""
    caught_up: bool = False
    """Found by catching up: it counts as seen since it began to stand, not since this look."""
    findings: tuple[Finding, ...] = ()
    """What the property's constraints say of it."""
    editor: str = ""
    """Who made the last of its edits."""
    run: BulkRun | None = None
    """The bulk run that all of its edits are part of."""
    risk: float | None = None
    """The highest chance (0 to 1) that one of the edits is reverted; None when nobody said."""

    @property
    def goes_on(self) -> bool:
        return self.change.kind.is_world_change


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A value overwritten in place: accepted, but no change of the world."""

    revision: int
    verdict: EditClass
    change: FactChange


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotResult:
    """One property: its timeline, its net differences, and the statements accepted meanwhile."""

    property: str
    line: Timeline
    results: tuple[NetResult, ...]
    corrected: tuple[Corrected, ...]
    wakes_on: dt.date | None
    touched_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditNote:
    """What one revision was. `key` names the change it contributes to, if that settles."""

    revision: Revision
    kind: str
    reason: str
    property: str | None = None
    key: str | None = None
    completed: bool = False
    """It completes a change that has settled before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemJudgement:
    """The result of a look at one item."""

    slots: tuple[SlotResult, ...]
    edits: tuple[EditNote, ...]


def classify_item(
    history: ItemHistory,
    facts: Facts,
    now: dt.datetime,
    *,
    properties: Iterable[str],
    cutoff: dt.date | None = None,
) -> ItemJudgement:
    """Judge every watched property and every revision after the base. Deterministic."""
    slots: list[SlotResult] = []
    for property_id in properties:
        slot = _slot(history, property_id, facts, now, cutoff)
        if slot is not None:
            slots.append(slot)
    return ItemJudgement(
        slots=tuple(slots), edits=tuple(_edit_notes(history, slots, facts, now.date()))
    )


def _slot(
    history: ItemHistory,
    property_id: str,
    facts: Facts,
    now: dt.datetime,
    cutoff: dt.date | None,
) -> SlotResult | None:
    rule = CATALOGUE[property_id]
    start = history.starts.get(property_id, history.base_revision)
    base = history.base.claims.get(property_id, ())
    head = history.head.claims.get(property_id, ())
    first = start if history.legacy else start + 1
    later = [r for r in history.revisions if r.id >= first]
    line = timeline(property_id, base, later, now.date(), dated=rule.tier is Tier.N)
    accepted, corrected = _accept(line, head, facts)
    case = Case(
        rule=rule,
        accepted=accepted,
        accepted_on=history.accepted_on.get(property_id, history.base_day),
        head=head,
        today=now.date(),
        facts=facts,
        cutoff=cutoff,
    )
    same_view = case.before().values == case.now().values
    if not line.touches and state_key(base) == state_key(head) and same_view:
        return None
    emitted = history.emitted.get(property_id)
    back = _retraction(case, emitted, now)
    decisions = [back] if back else decide(case)
    results = tuple(_result(history, rule, line, d, facts) for d in decisions)
    return SlotResult(
        property=property_id,
        line=line,
        results=results,
        corrected=tuple(_corrected(history, rule, t, one, c, facts) for t, one, c in corrected),
        wakes_on=next_start(case),
        touched_at=max((t.revision.time for t in line.touches), default=None),
    )


def _accept(
    line: Timeline, head: Sequence[Statement], facts: Facts
) -> tuple[list[Statement], list[tuple[Touch, Touched, EditClass]]]:
    """The base with the in-place edits that say the same fact better, or correct a wrong one.

    What is done to a statement that no longer holds is noted, but it stays what it was: the old
    side of a change does not move after the change."""
    accepted = {s.id: s for s in line.base}
    now = {s.id: s for s in head}
    found: list[tuple[Touch, Touched, EditClass]] = []
    for touch in line.surviving:
        for one in touch.diff.changed:
            known = accepted.get(one.id)
            if not one.revalued or known is None or one.after is None:
                continue
            if one.id not in line.effective[touch.revision.id] or _moved(known, now.get(one.id)):
                continue
            read = read_value_edit(line.property_id, known.mainsnak, one.after.mainsnak, facts)
            verdict = _overwritten(touch, read)
            if one.before is not None and value_key(one.before) in _held_before(line, touch):
                accepted[one.id] = replace(known, mainsnak=one.after.mainsnak)
            found.append((touch, one, verdict))
    return list(accepted.values()), found


def _held_before(line: Timeline, touch: Touch) -> frozenset[str]:
    return line.views[line.touches.index(touch)]


def _moved(before: Statement, now: Statement | None) -> bool:
    """An overwritten statement whose start was moved forward speaks of a new holder."""
    old = qualifier_date(before, START)
    new = qualifier_date(now, START) if now else None
    return bool(old and new and old.latest() < new.earliest())


def _overwritten(touch: Touch, read: ValueEdit) -> EditClass:
    if not read.update and not read.held:
        return EditClass(read.kind, read.reason)
    if is_unconfirmed(touch.revision.editor):
        return EditClass(
            ChangeKind.VANDALISM_SUSPECT,
            f"value overwritten in place by {touch.revision.editor} editor, no end date",
        )
    return EditClass(ChangeKind.CORRECTION, f"value overwritten in place: {read.reason}")


def _retraction(case: Case, emitted: Emitted | None, now: dt.datetime) -> Decision | None:
    if emitted is None or now - emitted.at > dt.timedelta(days=RETRACT_DAYS):
        return None
    before, after = case.before(), case.now()
    was = {emitted.new} if emitted.new else set()
    is_ = {emitted.old} if emitted.old else set()
    if before.values == after.values or before.values != was or after.values != is_:
        return None
    return Decision(
        kind=ChangeKind.SUCCESSION if was and is_ else ChangeKind.END if was else ChangeKind.START,
        old=before.of(emitted.new) if emitted.new else None,
        new=after.of(emitted.old) if emitted.old else None,
        reason=f"retraction: the change emitted on {emitted.at:%Y-%m-%d} was taken back",
        retraction=True,
    )


def _result(
    history: ItemHistory, rule: Property, line: Timeline, decision: Decision, facts: Facts
) -> NetResult:
    old, new = decision.old, decision.new
    edits = [t for t in line.surviving if any(_part(line, t, one, decision) for one in t.diff.all)]
    if decision.kind.is_world_change and not decision.retraction:
        decision = _not_settled_by_nature(line, edits, decision)
    heir = next((s for s in history.head.claims.get(rule.id, ()) if old and s.id == old.id), old)
    cause = heir.qualifier("P1534") if heir else None
    change = FactChange(
        subject=history.head.entity(),
        property=rule.id,
        old=_entity(old, facts),
        new=_entity(new, facts),
        kind=decision.kind,
        old_statement=old.id if old else None,
        new_statement=new.id if new else None,
        ended=qualifier_date(heir, END) if heir else None,
        started=qualifier_date(new, START) if new else None,
        cause=facts.entity(cause.value) if cause and is_item_value(cause) else None,
        base_revision=history.starts.get(rule.id, history.base_revision),
        head_revision=history.head.revision,
        reason=decision.reason,
    )
    if change.kind.is_world_change:
        found = (
            facts.inverse(history.head, rule.id, change.new.id, rule.inverse) if change.new else ()
        )
        change = replace(change, corroborations=(*found, *by_references(new)))
    return NetResult(
        change=change,
        decision=decision,
        edits=tuple(t.revision.id for t in edits),
        since=line.standing_since() or (history.head.modified if history.legacy else None),
        unconfirmed=bool(edits) and all(is_unconfirmed(t.revision.editor) for t in edits),
        caught_up=history.legacy,
        editor=max(edits, key=lambda t: t.revision.id).revision.user if edits else "",
    )


def _corrected(
    history: ItemHistory,
    rule: Property,
    touch: Touch,
    one: Touched,
    verdict: EditClass,
    facts: Facts,
) -> Corrected:
    change = FactChange(
        subject=history.head.entity(),
        property=rule.id,
        old=_entity(one.before, facts),
        new=_entity(one.after, facts),
        kind=verdict.kind,
        old_statement=one.id,
        new_statement=one.id,
        base_revision=history.base_revision,
        head_revision=touch.revision.id,
        reason=verdict.reason,
    )
    return Corrected(revision=touch.revision.id, verdict=verdict, change=change)


def _part(line: Timeline, touch: Touch, one: Touched, decision: Decision) -> bool:
    new = decision.new.id if decision.new else None
    ids = {new, decision.old.id if decision.old else None}
    if one.id not in ids or one.id not in line.effective[touch.revision.id]:
        return False
    return one.id == new if one.revalued else contributes(one)


def _not_settled_by_nature(line: Timeline, edits: list[Touch], decision: Decision) -> Decision:
    """World changes that no waiting makes true: a side of an edit war, an old state restored,
    a value that is no item."""
    if line.contested:
        reason = f"edit war: {line.flips()} flips within a fortnight, a person must decide"
        return replace(decision, kind=ChangeKind.REVERT, reason=reason)
    if edits and all(t.revision.reverting for t in edits):
        reason = "only undoes edits made before the base: nothing changed in the world"
        return replace(decision, kind=ChangeKind.REVERT, reason=reason)
    values = [s.mainsnak for s in (decision.old, decision.new) if s is not None]
    if any(v.kind is SnakKind.VALUE and not is_item_value(v) for v in values):
        reason = f"{decision.reason}; figures and dates are seen but not proposed, only items are"
        return replace(decision, kind=ChangeKind.NO_CHANGE, reason=reason)
    return decision


def _edit_notes(
    history: ItemHistory, slots: Sequence[SlotResult], facts: Facts, today: dt.date
) -> Iterable[EditNote]:
    previous = history.base
    for revision in history.revisions:
        parent, previous = previous, revision.doc or previous
        touched = [(s, t) for s in slots for t in s.line.touches if t.revision.id == revision.id]
        if not touched and revision.id <= history.base_revision:
            continue
        if revision.doc is None:
            yield EditNote(revision=revision, kind="hidden", reason="the content is not public")
        elif not touched:
            kind, reason = plain_edit(diff_entities(parent, revision.doc), revision)
            yield EditNote(revision=revision, kind=kind, reason=reason)
        else:
            notes = [_note(slot, touch, history, facts, today) for slot, touch in touched]
            yield max(notes, key=lambda n: (n.completed, n.key is not None))


def _note(
    slot: SlotResult, touch: Touch, history: ItemHistory, facts: Facts, today: dt.date
) -> EditNote:
    revision = touch.revision
    line = slot.line

    def note(kind: str, reason: str, key: str | None = None, completed: bool = False) -> EditNote:
        return EditNote(
            revision=revision,
            kind=kind,
            reason=reason,
            property=slot.property,
            key=key,
            completed=completed,
        )

    if revision.id in line.effective:
        result = next((r for r in slot.results if r.goes_on and revision.id in r.edits), None)
        if result is not None:
            return note(result.change.kind, result.change.reason, result.change.key)
        emitted = history.emitted.get(slot.property)
        if emitted and any(
            completes(t, emitted.old_statement, emitted.new_statement) for t in touch.diff.all
        ):
            return note(ChangeKind.RANK_ONLY, "completes a change that has settled", completed=True)
    fought = line.fought_over()
    sides = {v for t, u, w in line.moves() if t is touch for v in (u, w)}
    war = line.flips() if fought & sides else 0
    by = line.reverted.get(revision.id)
    if by is not None:
        return note(*_undone(touch, by, war))
    if revision.id in line.reverting or revision.reverting:
        reason = (
            f"edit war: {war} flips within a fortnight" if war > 1 else "restores what was there"
        )
        return note(ChangeKind.REVERT, reason)
    corrected = next((c.verdict for c in slot.corrected if c.revision == revision.id), None)
    if corrected is not None:
        return note(corrected.kind, corrected.reason)
    net = next((r for r in slot.results if revision.id in r.edits), None)
    own = classify_touch(touch, line, CATALOGUE[slot.property], facts, today)
    if net is not None and (own is None or net.change.kind is ChangeKind.REVERT):
        return note(net.change.kind, net.change.reason)
    if own is not None:
        return note(own.kind, own.reason)
    return note(ChangeKind.NO_CHANGE, "the value that holds stays the same")


def _undone(touch: Touch, by: Revision, war: int) -> tuple[str, str]:
    hours = (by.time - touch.revision.time).total_seconds() / 3600
    reason = f"undone by {by.user} after {hours:.1f} hours"
    if war > 1:
        return ChangeKind.REVERT, f"edit war, {war} flips within a fortnight: {reason}"
    if is_unconfirmed(touch.revision.editor) or by.reverting:
        return ChangeKind.VANDALISM_SUSPECT, reason
    return ChangeKind.REVERT, reason


def _entity(statement: Statement | None, facts: Facts) -> Entity | None:
    if statement is None:
        return None
    value = value_key(statement)
    return (
        facts.entity(value) if is_item_value(statement.mainsnak) else Entity(id=value, label=value)
    )
