"""From planned steps to revisions: each applied in time to the item as it then is.

Owns revision numbers, parents, hashes, what a revert brings back and which edits it undoes.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from collections import defaultdict

import orjson

from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.editors import Editor
from daemon.demo.wikidata.edits import Edit, EditKind, Step
from daemon.demo.wikidata.errors import ScenarioError

FIRST_BASE_REVISION = 1_500_000_000
FIRST_REVISION = 2_400_000_000
_FIRST_PAGE = 1_000


def initial_edits(
    items: dict[str, snaks.Json], editors: tuple[Editor, ...], start: dt.datetime, seed: int | str
) -> dict[str, Edit]:
    """The one revision that each item has before the scenario, by item id."""
    rng = random.Random(f"{seed}:initial")
    found: dict[str, Edit] = {}
    made = start - dt.timedelta(days=1400)
    revision = FIRST_BASE_REVISION
    for index, (item, entity) in enumerate(sorted(items.items(), key=lambda kv: int(kv[0][1:]))):
        content = snaks.encoded(entity)
        made += dt.timedelta(seconds=rng.randint(60, 1200))
        revision += rng.randint(1, 900)
        found[item] = Edit(
            time=made,
            item=item,
            page_id=_FIRST_PAGE + index,
            revision=revision,
            parent_revision=0,
            editor=editors[index % len(editors)],
            comment="/* wbeditentity-create-item:2|en */",
            tags=(),
            content=content,
            sha1=snaks.content_sha1(content),
            kind=EditKind.CREATE,
            redirect=None,
            reverted_at=None,
            truth=None,
        )
    return found


class Timeline:
    """Applies steps to the items and keeps the revisions."""

    def __init__(self, initial: dict[str, Edit], start: dt.datetime, seed: int | str) -> None:
        self._start = start
        self._rng = random.Random(f"{seed}:revisions")
        self._head = dict(initial)
        self._edits: list[Edit] = []
        self._revision = FIRST_REVISION
        self._pages = _FIRST_PAGE + len(initial)
        self._before: dict[tuple[int, str], list[Edit | None]] = {}
        self._of_story: dict[tuple[int, str], list[int]] = defaultdict(list)

    def apply(self, steps: list[Step]) -> tuple[Edit, ...]:
        """All revisions in order of time. Steps that change nothing leave none, as on Wikidata."""
        order = sorted(range(len(steps)), key=lambda i: (steps[i].at, i))
        for index in order:
            self._apply(steps[index])
        return tuple(self._edits)

    def _apply(self, step: Step) -> None:
        head = self._head.get(step.item)
        key = (step.truth.story, step.item)
        history = self._before.setdefault(key, [head])
        comment, content = step.comment, None
        good: Edit | None = None
        if step.restores is not None:
            good = history[min(step.restores, len(history) - 1)]
            if head is None or good is None or good.sha1 == head.sha1:
                return
            content = good.content
            comment = comment.format(
                bad=head.revision, bad_user=head.editor.name, good_user=good.editor.name
            )
        elif step.kind is not EditKind.DELETE:
            content = self._changed(step, head)
            if head and content == head.content:
                return
        made = self._made(step, head, comment, content)
        if good:
            self._mark_reverted(key, good, made)
        self._of_story[key].append(len(self._edits))
        self._edits.append(made)
        self._head[step.item] = made
        history.append(made)

    def _changed(self, step: Step, head: Edit | None) -> bytes:
        if step.redirect:
            return orjson.dumps({"entity": step.item, "redirect": step.redirect})
        if head and (head.content is None or head.redirect):
            raise ScenarioError(f"{step.item} was deleted or merged before a planned edit of it")
        entity = snaks.decoded(head.content or b"") if head else snaks.item(step.item)
        if step.change:
            step.change(entity)
        return snaks.encoded(entity)

    def _made(self, step: Step, head: Edit | None, comment: str, content: bytes | None) -> Edit:
        if head is None:
            self._pages += 1
        if step.kind is not EditKind.DELETE:
            self._revision += self._rng.randint(1, 40)
        return Edit(
            time=self._start + dt.timedelta(seconds=step.at),
            item=step.item,
            page_id=head.page_id if head else self._pages,
            revision=self._next_revision(step),
            parent_revision=head.revision if head else 0,
            editor=step.editor,
            comment=comment,
            tags=step.tags,
            content=content,
            sha1=snaks.content_sha1(content) if content is not None else "",
            kind=step.kind,
            redirect=step.redirect,
            reverted_at=None,
            truth=step.truth,
        )

    def _next_revision(self, step: Step) -> int:
        if step.kind is EditKind.DELETE:  # a deletion is a log entry, but takes a place in order
            self._revision += 1
        return self._revision

    def _mark_reverted(self, key: tuple[int, str], good: Edit, by: Edit) -> None:
        """Everything of the story after the restored revision is undone by this edit."""
        for index in self._of_story[key]:
            edit = self._edits[index]
            if edit.revision > good.revision and edit.reverted_at is None:
                self._edits[index] = dataclasses.replace(edit, reverted_at=by.time)
