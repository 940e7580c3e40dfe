"""Page-change events: the log of the stream, event ids, and each event's JSON.

Owns what is in the stream and where a cursor stands in it: the scenario's edits, an edit of another
wiki now and then (the stream is not filtered), and an hourly canary. Times of the log are in
milliseconds and unique; an id carries its event's time plus one, so that resuming at an id goes on
with the next event.
"""

from __future__ import annotations

import datetime as dt
import uuid
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import orjson

from daemon.demo.wikidata import snaks
from daemon.demo.wikidata.action_api import Answer, iso
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.editors import Editor
from daemon.demo.wikidata.edits import Edit, EditKind

STREAM = "mediawiki.page_change.v1"
_SCHEMA = "/mediawiki/page/change/1.2.0"
_FOREIGN_EVERY = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One message of the log: its time in ms, and the edit it tells of (None: a canary)."""

    timestamp_ms: int
    time: dt.datetime
    edit: Edit | None
    foreign: bool = False


class EventLog:
    """The whole stream of a scenario, in order."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        scenario = archive.scenario
        raw: list[tuple[dt.datetime, int, Edit | None, bool]] = []
        for index, edit in enumerate(scenario.edits):
            raw.append((edit.time, 2 * index, edit, False))
            if index % _FOREIGN_EVERY == 5:
                raw.append((edit.time, 2 * index + 1, edit, True))
        hour = scenario.start
        while hour <= scenario.end:
            raw.append((hour, -1, None, False))
            hour += dt.timedelta(hours=1)
        raw.sort(key=lambda row: row[:2])
        self.entries: list[LogEntry] = []
        last = 0
        for time, _, edit, foreign in raw:
            last = max(last + 2, int(time.timestamp() * 1000))
            self.entries.append(LogEntry(timestamp_ms=last, time=time, edit=edit, foreign=foreign))
        self._stamps = [entry.timestamp_ms for entry in self.entries]
        self._times = [entry.time for entry in self.entries]

    def end(self, now: dt.datetime) -> int:
        """The place after the last visible entry."""
        return bisect_right(self._times, now)

    def place(self, timestamp_ms: int) -> int:
        """The place of the first entry at that time or later."""
        return bisect_left(self._stamps, timestamp_ms)

    def event(self, entry: LogEntry) -> bytes:
        """The JSON of one entry."""
        if entry.edit is None:
            return orjson.dumps(canary(entry.time))
        if entry.foreign:
            return orjson.dumps(_foreign(entry.edit))
        before = self._archive.scenario.by_revision.get(entry.edit.parent_revision)
        return orjson.dumps(page_change(entry.edit, before, self._revisions(entry.edit)))

    def _revisions(self, edit: Edit) -> int:
        return len(self._archive.history(edit.item, edit.time))


def event_id(timestamp_ms: int) -> str:
    """An id as the stream gives them: one data centre by time, the other without an offset."""
    return orjson.dumps(
        [
            {"topic": f"eqiad.{STREAM}", "partition": 0, "timestamp": timestamp_ms + 1},
            {"topic": f"codfw.{STREAM}", "partition": 0, "offset": -1},
        ]
    ).decode()


def cursor_of(text: str) -> int | None:
    """The time of a `Last-Event-ID`; None when it names none (then the stream starts at now).

    Raises ValueError when it is not a JSON array of assignments.
    """
    try:
        assignments = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"Last-Event-ID is not JSON: {error}") from error
    if not isinstance(assignments, list) or not all(
        isinstance(a, dict) and "topic" in a and "partition" in a for a in assignments
    ):
        raise ValueError("Last-Event-ID must be an array of objects with topic and partition")
    stamps = [a["timestamp"] for a in assignments if isinstance(a.get("timestamp"), int)]
    return min(stamps) if stamps else None


def page_change(edit: Edit, before: Edit | None, revisions: int) -> Answer:
    """The event of one edit of an item; `before` is the revision that it replaced."""
    deleted = edit.kind is EditKind.DELETE
    page: Answer = {
        "page_id": edit.page_id,
        "page_title": edit.item,
        "namespace_id": 0,
        "is_redirect": edit.redirect is not None,
    }
    if deleted:
        page["revision_count"] = revisions - 1
    event: Answer = {
        "changelog_kind": {EditKind.CREATE: "insert", EditKind.DELETE: "delete"}.get(
            edit.kind, "update"
        ),
        "page_change_kind": edit.kind.value,
        "dt": iso(edit.time),
        "wiki_id": "wikidatawiki",
        "page": page,
        "performer": _performer(edit.editor),
    }
    if deleted:
        event["comment"] = edit.comment
    shown = before if deleted and before else edit
    event["revision"] = _revision(shown)
    if before and not deleted:
        event["prior_state"] = {"revision": _revision(before)}
        if (before.redirect is None) != (edit.redirect is None):
            event["prior_state"]["page"] = {"is_redirect": before.redirect is not None}
    event |= _envelope(edit, "www.wikidata.org", f"https://www.wikidata.org/wiki/{edit.item}")
    return event


def _performer(editor: Editor) -> Answer:
    shown: Answer = {
        "user_text": editor.name,
        "groups": list(editor.groups),
        "is_bot": editor.is_bot,
        "is_system": False,
        "is_temp": editor.is_temp,
    }
    if editor.user_id is not None:
        shown["user_id"] = editor.user_id
    if editor.registered is not None:
        shown["registration_dt"] = iso(editor.registered)
    if editor.edit_count is not None:
        shown["edit_count"] = editor.edit_count
    return shown


def _revision(edit: Edit) -> Answer:
    size, sha1 = len(edit.content or b""), snaks.base36(edit.sha1 or "0")
    shown: Answer = {
        "rev_id": edit.revision,
        "rev_dt": iso(edit.time),
        "is_minor_edit": False,
        "rev_sha1": sha1,
        "rev_size": size,
    }
    if edit.parent_revision:
        shown["rev_parent_id"] = edit.parent_revision
    return shown | {
        "comment": edit.comment,
        "editor": _performer(edit.editor),
        "is_content_visible": True,
        "is_editor_visible": True,
        "is_comment_visible": True,
        "content_slots": {
            "main": {
                "slot_role": "main",
                "content_model": "wikibase-item",
                "content_sha1": sha1,
                "content_size": size,
                "content_format": "application/json",
                "origin_rev_id": edit.revision,
            }
        },
    }


def _envelope(edit: Edit, domain: str, uri: str) -> Answer:
    return {
        "$schema": _SCHEMA,
        "meta": {
            "stream": STREAM,
            "uri": uri,
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{uri}#{edit.revision}")),
            "request_id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(edit.revision))),
            "domain": domain,
            "dt": iso(edit.time),
        },
    }


def _foreign(edit: Edit) -> Answer:
    """An edit of a Wikipedia page in the same second."""
    event = page_change(edit, None, 1)
    title = f"User:{edit.editor.name.replace(' ', '_')}/sandbox"
    event["wiki_id"] = "enwiki"
    event["page"] |= {"page_title": title, "page_id": edit.page_id + 50_000_000, "namespace_id": 2}
    event["page_change_kind"], event["changelog_kind"] = "edit", "update"
    event["revision"]["content_slots"]["main"] |= {
        "content_model": "wikitext",
        "content_format": "text/x-wiki",
    }
    event["revision"]["comment"] = event.pop("comment", "copyedit")
    domain = "en.wikipedia.org"
    return event | _envelope(edit, domain, f"https://{domain}/wiki/{title}")


def canary(time: dt.datetime) -> Answer:
    """The hourly sign of life of the stream."""
    performer: Answer = {"user_id": 123, "user_text": "example"}
    return {
        "$schema": _SCHEMA,
        "meta": {
            "stream": STREAM,
            "domain": "canary",
            "dt": iso(time),
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"canary {iso(time)}")),
            "uri": "https://canary.example/",
            "request_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"canary request {iso(time)}")),
        },
        "dt": iso(time),
        "changelog_kind": "update",
        "page_change_kind": "edit",
        "wiki_id": "examplewiki",
        "comment": "canary",
        "page": {
            "page_id": 1,
            "page_title": "canary",
            "namespace_id": 0,
            "is_redirect": False,
        },
        "performer": performer,
        "revision": {
            "rev_id": 2,
            "rev_parent_id": 1,
            "rev_dt": iso(time),
            "comment": "canary",
            "editor": performer,
        },
    }
