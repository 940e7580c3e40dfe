"""The plan of a scenario while it is being made: what is booked, what is planned, what is taken.

Owns the shared state of the planners in `patterns`, `noise` and `chores`, and the small words of
editing that they share (comments as Wikibase writes them, finding the statement in force).
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.demo.wikidata import snaks, vocabulary
from daemon.demo.wikidata.agenda import Agenda
from daemon.demo.wikidata.editors import Cast, Editor
from daemon.demo.wikidata.edits import EditKind, Kind, Step, Truth
from daemon.demo.wikidata.entities import Catalogue
from daemon.demo.wikidata.snaks import Json
from knowledge.facts import Date

MINUTE, HOUR, DAY = 60, 3600, 86400
LENGTH_DAYS = 40
FACTS_SETTLED = 30 * DAY
"""After this nothing touches the facts that the scenario expects to change, so that they settle."""
LAST = LENGTH_DAYS * DAY - HOUR

Change = Callable[[Json], None]


@dataclass(kw_only=True)
class Plan:
    """All planners write into one plan; only `timeline` reads the steps."""

    catalogue: Catalogue
    cast: Cast
    rng: random.Random
    start: dt.datetime
    expected: frozenset[tuple[str, str]]
    agenda: Agenda = field(default_factory=Agenda)
    steps: list[Step] = field(default_factory=list)
    taken: set[tuple[str, str]] = field(default_factory=set)
    """Slots whose value some story has altered for good: no second one may."""
    _stories: int = 0

    def story(self, kind: Kind, slot: tuple[str, str] | None = None) -> Truth:
        """Open a story; its truth goes with each of its steps."""
        self._stories += 1
        name = f"{slot[0]}:{slot[1]}" if slot else None
        return Truth(kind=kind, slot=name, story=self._stories)

    def day_of(self, at: int) -> Date:
        day = self.start + dt.timedelta(seconds=at)
        return Date(day.year, day.month, day.day)

    def reference(self, at: int) -> Json:
        return self.catalogue.reference((self.start + dt.timedelta(seconds=at)).date())

    def edit(
        self,
        at: int,
        item: str,
        editor: Editor,
        comment: str,
        truth: Truth,
        change: Change,
        *,
        kind: EditKind = EditKind.EDIT,
        redirect: str | None = None,
        tags: tuple[str, ...] | None = None,
    ) -> None:
        """Plan one edit that changes the item."""
        shown = tags if tags is not None else self._tags(editor)
        self.steps.append(
            Step(
                at=at,
                item=item,
                editor=editor,
                comment=comment,
                truth=truth,
                change=change,
                kind=kind,
                redirect=redirect,
                tags=shown,
            )
        )

    def restore(
        self, at: int, item: str, editor: Editor, truth: Truth, to: int, how: str = "rollback"
    ) -> None:
        """Plan bringing back what the item was after `to` edits of the story (0: before it)."""
        comment, tag = {
            "rollback": (
                "Reverted edits by [[Special:Contributions/{bad_user}|{bad_user}]] "
                "([[User talk:{bad_user}|talk]]) to last revision by "
                "[[User:{good_user}|{good_user}]]",
                "mw-rollback",
            ),
            "undo": ("/* undo:0||{bad}|{bad_user} */ ", "mw-undo"),
            "manual": ("/* wbeditentity-update:0| */", "mw-manual-revert"),
        }[how]
        self.steps.append(
            Step(
                at=at,
                item=item,
                editor=editor,
                comment=comment,
                truth=truth,
                restores=to,
                tags=(tag,),
            )
        )

    @staticmethod
    def _tags(editor: Editor) -> tuple[str, ...]:
        return () if editor.is_bot else ("wikidata-ui",)


def about(key: str, property_id: str, value: str, *, args: str = "1|") -> str:
    """An edit summary as Wikibase makes it: `/* wbsetclaim-update:2||1 */ [[Property:P6]]: ..`."""
    return f"/* {key}:{args} */ [[Property:{property_id}]]: [[{value}]]"


def created(property_id: str, value: str, qualifiers: int = 0) -> str:
    args = f"2||1|{qualifiers}" if qualifiers else "2||1"
    return about("wbsetclaim-create", property_id, value, args=args)


def find(entity: Json, property_id: str, guid: str) -> Json | None:
    """The statement with that id, if the item still has it."""
    statements = entity["claims"].get(property_id, ())
    return next((made for made in statements if made["id"] == guid), None)


def in_force(entity: Json, property_id: str) -> Json | None:
    """The statement that an editor would take for the current one: not ended, best rank, latest."""
    statements = entity["claims"].get(property_id, ())
    running = [s for s in statements if not snaks.has_qualifier(s, "P582")] or list(statements)
    preferred = [s for s in running if s["rank"] == "preferred"]
    return (preferred or running or [None])[-1]


def append(entity: Json, property_id: str, made: Json) -> None:
    entity["claims"].setdefault(property_id, []).append(made)


def remove(entity: Json, property_id: str, guid: str) -> None:
    kept = [s for s in entity["claims"].get(property_id, ()) if s["id"] != guid]
    if kept:
        entity["claims"][property_id] = kept
    else:
        entity["claims"].pop(property_id, None)


def set_value(made: Json, item_id: str) -> None:
    """Overwrite the main value in place: the statement keeps its id."""
    made["mainsnak"] = snaks.item_snak(made["mainsnak"]["property"], item_id)


def is_person(kind: str) -> bool:
    return vocabulary.class_word(kind) == "human"
