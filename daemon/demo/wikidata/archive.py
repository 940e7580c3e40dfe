"""What is visible of the scenario at a moment: heads, histories, titles.

Owns the step from the list of edits to the state at a time. Knows no protocol.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import defaultdict

import orjson

from daemon.demo.wikidata.edits import Edit, EditKind
from daemon.demo.wikidata.scenario import Scenario


class Archive:
    """The scenario by item, by page, by revision and by Wikipedia title, at any time."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.edits = scenario.edits
        self._times = [edit.time for edit in scenario.edits]
        self._histories: dict[str, list[Edit]] = {k: [v] for k, v in scenario.initial.items()}
        for edit in scenario.edits:
            self._histories.setdefault(edit.item, []).append(edit)
        self._item_times: dict[str, list[dt.datetime]] = defaultdict(list)
        for item, edits in self._histories.items():
            self._item_times[item] = [edit.time for edit in edits]
        self.by_page = {edits[0].page_id: item for item, edits in self._histories.items()}
        self.editors = {e.editor.name: e.editor for e in scenario.by_revision.values()}
        self.titles: dict[str, list[str]] = defaultdict(list)
        for item, edit in scenario.initial.items():
            links = orjson.loads(edit.content or b"{}").get("sitelinks")
            if links and "enwiki" in links:
                self.titles[links["enwiki"]["title"]].append(item)

    def visible(self, now: dt.datetime) -> int:
        """How many of the edits have happened."""
        return bisect_right(self._times, now)

    def history(self, item: str, now: dt.datetime) -> list[Edit]:
        """The revisions and deletions of an item up to now, oldest first; empty when unknown."""
        edits = self._histories.get(item, [])
        return edits[: bisect_right(self._item_times[item], now)] if edits else []

    def head(self, item: str, now: dt.datetime) -> Edit | None:
        """The current revision; None when the item does not exist (yet, or any more)."""
        edits = self.history(item, now)
        if not edits or edits[-1].kind is EditKind.DELETE:
            return None
        return edits[-1]

    def heads(self, now: dt.datetime) -> list[Edit]:
        """The current revisions of all items that exist and are no redirects, by page."""
        found = [head for item in self._histories if (head := self.head(item, now))]
        return sorted((h for h in found if not h.redirect), key=lambda head: head.page_id)

    def revision(self, revision: int, now: dt.datetime) -> Edit | None:
        """A visible revision of a page that exists."""
        edit = self.scenario.by_revision.get(revision)
        if edit is None or edit.time > now or edit.kind is EditKind.DELETE:
            return None
        return edit if self.head(edit.item, now) else None

    def by_sitelink(self, title: str, now: dt.datetime) -> str | None:
        found = self.titles.get(title, [])
        return next((item for item in found if self.head(item, now)), None)

    def changed_items(self, first: int, last: int) -> list[str]:
        """The items that differ between the states after `first` and after `last` edits."""
        low, high = sorted((first, last))
        return sorted({edit.item for edit in self.edits[low:high]})

    def tags(self, edit: Edit, now: dt.datetime) -> list[str]:
        """An edit's tags, with `mw-reverted` from the moment on at which it was undone."""
        undone = edit.reverted_at is not None and edit.reverted_at <= now
        return [*edit.tags, *(["mw-reverted"] if undone else [])]
