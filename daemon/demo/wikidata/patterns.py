"""The ways in which a succession is edited on Wikidata, and the edits elsewhere that agree with it.

Owns the order, the timing and the content of those edits. Every date is the table's. Holders
between the legacy one and the latest are entered as past ones together with the latest.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass

from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.edits import Kind, Pattern, Truth
from daemon.demo.wikidata.entities import started
from daemon.demo.wikidata.plan import DAY, HOUR, MINUTE, Plan, about, append, created, find
from daemon.demo.wikidata.snaks import Json
from knowledge.world import Succession

_SLACK = 2 * MINUTE
_CORROBORATED_SHARE = 0.7

INITIAL_RANK = {
    Pattern.ENDED_AND_REPLACED: "preferred",
    Pattern.STALE_PREFERRED: "preferred",
    Pattern.RANK_LAST: "preferred",
    Pattern.ENTERED_EARLY: "normal",
    Pattern.SEVERAL_DAYS: "normal",
    Pattern.OFFICE_FIRST: "normal",
}
"""The rank of the legacy statement before the succession is edited."""


def assigned(rng: random.Random, successions: tuple[Succession, ...]) -> dict[str, Pattern]:
    """One pattern per slot, all patterns equally often (they differ by one at most)."""
    order = list(successions)
    rng.shuffle(order)
    wheel = list(Pattern)
    rng.shuffle(wheel)
    return {s.slot: wheel[i % len(wheel)] for i, s in enumerate(order)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    """One edit of a pattern, `after` seconds from its first."""

    after: int
    item: str
    comment: str
    change: Callable[[Json], None]
    kind: Kind = Kind.SUCCESSION
    bot: str | None = None


class _Slot:
    """The pieces of which the patterns are put together, for one succession."""

    def __init__(self, plan: Plan, succession: Succession) -> None:
        self.plan, self.rng, self.succession = plan, plan.rng, succession
        self.subject, self.property = succession.subject.id, succession.property
        self.old, self.new = succession.old, succession.new
        history = succession.history
        first, last = history.index(self.old), history.index(self.new)
        self.between = history[first + 1 : last]
        self.following = history[first + 1]
        self.preceding = history[last - 1]
        self.old_guid = plan.catalogue.statements[self.subject, self.property]
        self.new_guid = plan.catalogue.guid(self.subject)

    def ended(self, after: int) -> _Edit:
        qualifiers = self.plan.catalogue.ending(self.old, self.following)

        def change(entity: Json) -> None:
            made = find(entity, self.property, self.old_guid)
            for snak in qualifiers if made else ():
                snaks.set_qualifier(made or {}, snak)

        args = f"1||{len(qualifiers)}"
        key = "wbsetclaim-update-qualifiers"
        comment = about(key, self.property, self.old.object.id, args=args)
        return _Edit(after=after, item=self.subject, comment=comment, change=change)

    def entered(self, after: int, *, dated: bool, referenced: bool = False) -> _Edit:
        """The new statement, at normal rank, and before it the holders in between."""
        qualifiers = started(self.new, self.preceding) if dated else ()
        references = (self.plan.reference(after),) if referenced else ()
        past = self._past()
        made = snaks.statement(
            self.new_guid,
            snaks.item_snak(self.property, self.new.object.id),
            qualifiers=qualifiers,
            references=references,
        )

        def change(entity: Json) -> None:
            for statement in (*past, made):
                append(entity, self.property, copy.deepcopy(statement))

        comment = created(self.property, self.new.object.id, len(qualifiers))
        if past:
            comment = "/* wbeditentity-update:0| */ holders since then"
        return _Edit(after=after, item=self.subject, comment=comment, change=change)

    def _past(self) -> tuple[Json, ...]:
        rows = (*self.between, self.new)
        return tuple(
            self.plan.catalogue.past_statement(fact, rows[i + 1])
            for i, fact in enumerate(self.between)
        )

    def dated(self, after: int) -> _Edit:
        qualifiers = started(self.new, self.preceding)

        def change(entity: Json) -> None:
            made = find(entity, self.property, self.new_guid)
            for snak in qualifiers if made else ():
                snaks.set_qualifier(made or {}, snak)

        key = "wbsetclaim-update-qualifiers"
        args = f"1||{max(len(qualifiers), 1)}"
        comment = about(key, self.property, self.new.object.id, args=args)
        return _Edit(after=after, item=self.subject, comment=comment, change=change)

    def referenced(self, after: int) -> _Edit:
        ref = self.plan.reference(after)

        def change(entity: Json) -> None:
            made = find(entity, self.property, self.new_guid)
            if made:
                snaks.add_reference(made, ref)

        comment = about("wbsetreference-add", self.property, self.new.object.id, args="2|")
        return _Edit(after=after, item=self.subject, comment=comment, change=change)

    def ranked(self, after: int, *, new: bool, rank: str, bot: str | None = None) -> _Edit:
        guid = self.new_guid if new else self.old_guid
        value = (self.new if new else self.old).object.id

        def change(entity: Json) -> None:
            made = find(entity, self.property, guid)
            if made:
                made["rank"] = rank

        comment = about("wbsetclaim-update-rank", self.property, value, args="1||1")
        return _Edit(after=after, item=self.subject, comment=comment, change=change, bot=bot)

    # -- edits on the other items --------------------------------------------------------------

    def elsewhere(self, after: int) -> list[_Edit]:
        """What the office, the persons or the clubs say about the same succession."""
        new, old = self.new.object.id, self.old.object.id
        office = self.plan.catalogue.offices.get((self.subject, self.property))
        gaps = [self.rng.randint(2 * MINUTE, 90 * MINUTE) for _ in range(4)]
        times = [after + sum(gaps[: i + 1]) for i in range(4)]
        if office:
            return [
                self._end_on(times[0], office, "P1308", old),
                self._start_on(times[1], office, "P1308", new),
                self._start_on(times[2], new, "P39", office),
                self._end_on(times[3], old, "P39", office),
            ]
        inverse = "P527" if self.property == "P54" else "P6087"
        return [
            self._end_on(times[0], old, inverse, self.subject),
            self._start_on(times[1], new, inverse, self.subject),
        ]

    def _end_on(self, after: int, item: str, property_id: str, value: str) -> _Edit:
        ending = self.plan.catalogue.ending(self.old, self.following)
        if property_id != "P1308":
            ending = ending[:1]

        def change(entity: Json) -> None:
            for made in entity["claims"].get(property_id, ()):
                if snaks.value_of(made) == value and not snaks.has_qualifier(made, "P582"):
                    for snak in ending:
                        snaks.set_qualifier(made, snak)

        args = f"1||{len(ending)}"
        comment = about("wbsetclaim-update-qualifiers", property_id, value, args=args)
        return _Edit(
            after=after, item=item, comment=comment, change=change, kind=Kind.CORROBORATION
        )

    def _start_on(self, after: int, item: str, property_id: str, value: str) -> _Edit:
        qualifiers = started(self.new, self.preceding if property_id == "P1308" else None)
        guid = self.plan.catalogue.guid(item)

        def change(entity: Json) -> None:
            snak = snaks.item_snak(property_id, value)
            append(entity, property_id, snaks.statement(guid, snak, qualifiers=qualifiers))

        comment = created(property_id, value, len(qualifiers))
        return _Edit(
            after=after, item=item, comment=comment, change=change, kind=Kind.CORROBORATION
        )


def _script(slot: _Slot, pattern: Pattern) -> list[_Edit]:
    """The edits of one succession in order, with their distances."""
    rng = slot.rng
    minutes = [rng.randint(1, 9) * MINUTE for _ in range(6)]
    soon = [sum(minutes[: i + 1]) for i in range(6)]
    match pattern:
        case Pattern.ENDED_AND_REPLACED:
            return [
                slot.ended(0),
                slot.entered(soon[0], dated=True),
                slot.ranked(soon[1], new=False, rank="normal"),
                slot.ranked(soon[2], new=True, rank="preferred"),
                slot.referenced(soon[3]),
            ]
        case Pattern.STALE_PREFERRED:
            return [slot.entered(0, dated=True, referenced=True), slot.ended(soon[5])]
        case Pattern.RANK_LAST:
            late = rng.randint(2 * DAY, 5 * DAY)
            return [
                slot.entered(0, dated=True),
                slot.ended(soon[4]),
                slot.ranked(late, new=False, rank="normal", bot="RankTidyBot"),
                slot.ranked(late + 3, new=True, rank="preferred", bot="RankTidyBot"),
            ]
        case Pattern.ENTERED_EARLY:
            late = rng.randint(6 * HOUR, 3 * DAY)
            return [slot.entered(0, dated=False), slot.dated(late), slot.ended(late + soon[0])]
        case Pattern.SEVERAL_DAYS:
            days = [rng.randint(16 * HOUR, 30 * HOUR) for _ in range(3)]
            return [
                slot.ended(0),
                slot.entered(days[0], dated=False),
                slot.dated(days[0] + days[1]),
                slot.referenced(sum(days)),
                slot.ranked(sum(days) + soon[0], new=True, rank="preferred"),
            ]
        case Pattern.OFFICE_FIRST:
            elsewhere = slot.elsewhere(0)
            later = elsewhere[-1].after + rng.randint(3 * HOUR, 4 * DAY)
            return [
                *elsewhere,
                slot.ended(later),
                slot.entered(later + soon[0], dated=True, referenced=rng.random() < 0.5),
            ]


def plan_succession(plan: Plan, succession: Succession, pattern: Pattern, latest: int) -> int:
    """Plan one succession so that it ends by `latest`; returns when its first edit is."""
    slot = _Slot(plan, succession)
    script = _script(slot, pattern)
    if pattern is not Pattern.OFFICE_FIRST and plan.rng.random() < _CORROBORATED_SHARE:
        script += slot.elsewhere(plan.rng.randint(0, DAY))
    length = max(edit.after for edit in script)
    first = _earliest_place(plan, script, length, latest)
    truth = {
        kind: plan.story(kind, (slot.subject, slot.property))
        for kind in (Kind.SUCCESSION, Kind.CORROBORATION)
    }
    human = plan.cast.regular()
    for edit in script:
        editor = plan.cast.bots[edit.bot] if edit.bot else human
        at = first + edit.after
        plan.agenda.book((edit.item,), at - _SLACK, at + _SLACK)
        plan.edit(at, edit.item, editor, edit.comment, _of(truth, edit), edit.change)
        if plan.rng.random() < 0.2:
            human = plan.cast.regular()
    return first


def _of(truth: dict[Kind, Truth], edit: _Edit) -> Truth:
    return truth[edit.kind]


def _earliest_place(plan: Plan, script: list[_Edit], length: int, latest: int) -> int:
    """A seeded start at which every edit of the script finds its item free."""
    for _ in range(200):
        first = plan.rng.randint(HOUR, max(latest - length, HOUR + 1))
        if all(
            plan.agenda.free(e.item, first + e.after - _SLACK, first + e.after + _SLACK)
            for e in script
        ):
            return first
    return HOUR  # everything is busy: edits in the same minutes are applied in their order
