"""`list=recentchanges`: the rows of the last 30 days, with MediaWiki's continuation.

Owns that module of `action=query`.
"""

from __future__ import annotations

import datetime as dt

from daemon.demo.wikidata.action_api import Answer, ApiError, Params, digits, iso, parse_time
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.edits import Edit, EditKind

RECENT_DAYS = 30
_RC_PROPS = "title|timestamp|ids"
_RC_BASE = 2_600_000_000
"""Recent-changes ids are this plus the place of the edit in the scenario."""


def recent_changes(params: Params, archive: Archive, body: Answer, following: Answer) -> None:
    """Put the asked rows into `body`, and where to go on into `following`."""
    newer = params.choice("rcdir", "older", ("older", "newer")) == "newer"
    limit = params.number("rclimit", 10, 500)
    start, end = params.time("rcstart"), params.time("rcend")
    if not newer:
        start, end = end, start
    oldest = params.now - dt.timedelta(days=RECENT_DAYS)
    types = params.many("rctype", "edit|new|log|categorize")
    namespaces = params.many("rcnamespace")
    wanted_tag = params.get("rctag")
    rows = [
        (index, edit)
        for index, edit in enumerate(archive.edits[: archive.visible(params.now)])
        if edit.time >= max(oldest, start or oldest)
        and (end is None or edit.time <= end)
        and (not namespaces or "0" in namespaces)
        and _type(edit) in types
        and (not wanted_tag or wanted_tag in archive.tags(edit, params.now))
    ]
    if not newer:
        rows.reverse()
    if token := params.get("rccontinue"):
        rows = _continued(rows, token, newer, params.now)
    if len(rows) > limit:
        index, edit = rows[limit]
        following["rccontinue"] = f"{digits(edit.time)}|{_RC_BASE + index}"
    body["recentchanges"] = [_row(params, archive, i, e) for i, e in rows[:limit]]


def _continued(
    rows: list[tuple[int, Edit]], token: str, newer: bool, now: dt.datetime
) -> list[tuple[int, Edit]]:
    stamp, _, text = token.partition("|")
    time = parse_time(stamp, now) if len(stamp) == 14 else None
    if time is None or not text.isdigit():
        raise ApiError("badcontinue", "Invalid continue param. You should pass the original value.")
    mark = (time, int(text) - _RC_BASE)
    if newer:
        return [row for row in rows if (row[1].time, row[0]) >= mark]
    return [row for row in rows if (row[1].time, row[0]) <= mark]


def _type(edit: Edit) -> str:
    return {EditKind.CREATE: "new", EditKind.DELETE: "log"}.get(edit.kind, "edit")


def _row(params: Params, archive: Archive, index: int, edit: Edit) -> Answer:
    props = params.many("rcprop", _RC_PROPS)
    deleted = edit.kind is EditKind.DELETE
    row: Answer = {"type": _type(edit)}
    if "title" in props:
        row |= {"ns": 0, "title": edit.item}
    if "ids" in props:
        row |= {
            "pageid": 0 if deleted else edit.page_id,
            "revid": 0 if deleted else edit.revision,
            "old_revid": 0 if deleted else edit.parent_revision,
            "rcid": _RC_BASE + index,
        }
    if "user" in props:
        row["user"] = edit.editor.name
        if edit.editor.is_anonymous:
            params.flagged(row, "anon")
        if edit.editor.is_temp:
            params.flagged(row, "temp")
    if "userid" in props:
        row["userid"] = edit.editor.user_id or 0
    if "flags" in props:
        params.flag(row, "bot", edit.editor.is_bot)
        params.flag(row, "new", edit.kind is EditKind.CREATE)
        params.flag(row, "minor", False)
    if "sizes" in props:
        before = archive.scenario.by_revision.get(edit.parent_revision)
        row["oldlen"] = len(before.content or b"") if before and not deleted else 0
        row["newlen"] = len(edit.content or b"")
    if "timestamp" in props:
        row["timestamp"] = iso(edit.time)
    if "comment" in props:
        row["comment"] = edit.comment
    if "redirect" in props and edit.redirect:
        params.flagged(row, "redirect")
    if "patrolled" in props:
        trusted = edit.editor.is_bot or "autopatrolled" in edit.editor.groups
        params.flag(row, "patrolled", trusted)
        params.flag(row, "unpatrolled", not trusted)
        params.flag(row, "autopatrolled", trusted)
    if "loginfo" in props and deleted:
        row |= {"logid": index, "logtype": "delete", "logaction": "delete", "logparams": {}}
    if "tags" in props:
        row["tags"] = archive.tags(edit, params.now)
    if "sha1" in props and not deleted:
        row["sha1"] = edit.sha1
    return row
