"""`action=query`: page info, revisions and users, with MediaWiki's continuation.

Owns those modules; recent changes are `change_answers`, searches `search_answers`.
"""

from __future__ import annotations

import datetime as dt

from daemon.demo.wikidata.action_api import Answer, ApiError, Params, digits, iso
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.change_answers import recent_changes
from daemon.demo.wikidata.edits import Edit, EditKind
from daemon.demo.wikidata.search_answers import search


def query(params: Params, archive: Archive) -> Answer:
    """Answer `prop=info|revisions` and `list=recentchanges|users|search`, together if asked."""
    props, lists = params.many("prop"), params.many("list")
    for name, asked, known in (
        ("prop", props, ("info", "revisions")),
        ("list", lists, ("recentchanges", "users", "search")),
    ):
        strange = [value for value in asked if value not in known]
        if strange:
            text = ", ".join(strange)
            raise ApiError("badvalue", f'Unrecognized value for parameter "{name}": {text}.')
    answer: Answer = {}
    body: Answer = {}
    following: Answer = {}
    if props or params.has("titles") or params.has("revids"):
        _pages(params, archive, props, body, following)
    if "recentchanges" in lists:
        recent_changes(params, archive, body, following)
    if "users" in lists:
        body["users"] = _users(params, archive)
    if "search" in lists:
        search(params, archive, body, following)
    if "rccontinue" in following or not following:
        params.flag(answer, "batchcomplete", True)
    if following:
        last = "-||" if "rccontinue" in following else "||"
        answer["continue"] = {**following, "continue": last}
    answer["query"] = body
    return answer


# -- pages -------------------------------------------------------------------------------------


def _pages(
    params: Params, archive: Archive, props: list[str], body: Answer, following: Answer
) -> None:
    revids = [_number(text) for text in params.many("revids")]
    titles, page_ids = params.many("titles"), params.many("pageids")
    if revids and titles:
        raise ApiError("invalidparammix", 'The parameters "titles", "revids" can not be combined.')
    titles += [archive.by_page.get(_number(text), f"#{text}") for text in page_ids]
    pages: list[Answer] = []
    if revids:
        known = [e for revid in revids if (e := archive.revision(revid, params.now))]
        bad = [revid for revid in revids if not archive.revision(revid, params.now)]
        if bad:
            shown = {str(r): params.flagged({"revid": r}, "missing") for r in bad}
            body["badrevids"] = shown
        titles = list(dict.fromkeys(edit.item for edit in known))
        for title in titles:
            page = _page(params, archive, title, props)
            page["revisions"] = [_revision(params, archive, e) for e in known if e.item == title]
            pages.append(page)
    else:
        for title in titles:
            page = _page(params, archive, title, props)
            if "revisions" in props and "pageid" in page:
                _add_revisions(params, archive, title, len(titles), page, following)
            pages.append(page)
    body["pages"] = _listed(params, pages)


def _page(params: Params, archive: Archive, title: str, props: list[str]) -> Answer:
    head = archive.head(title, params.now)
    if head is None:
        return params.flagged({"ns": 0, "title": title}, "missing")
    page: Answer = {"pageid": head.page_id, "ns": 0, "title": title}
    if "info" in props:
        page |= {
            "contentmodel": "wikibase-item",
            "pagelanguage": "en",
            "pagelanguagehtmlcode": "en",
            "pagelanguagedir": "ltr",
            "touched": iso(head.time),
            "lastrevid": head.revision,
            "length": len(head.content or b""),
        }
        if head.redirect:
            params.flagged(page, "redirect")
        if head.parent_revision == 0:
            params.flagged(page, "new")
    return page


def _listed(params: Params, pages: list[Answer]) -> list[Answer] | Answer:
    """Pages as the format version shows them: a list, or a map by page id (-1, -2 if missing)."""
    if params.version == 2:
        return pages
    shown: Answer = {}
    absent = 0
    for page in pages:
        if "pageid" not in page:
            absent += 1
        shown[str(page.get("pageid", -absent))] = page
    return shown


def _add_revisions(
    params: Params, archive: Archive, title: str, titles: int, page: Answer, following: Answer
) -> None:
    ranged = [
        name
        for name in ("rvlimit", "rvstartid", "rvendid", "rvstart", "rvend", "rvdir", "rvcontinue")
        if params.has(name)
    ]
    edits = [e for e in archive.history(title, params.now) if e.kind is not EditKind.DELETE]
    if not ranged:
        page["revisions"] = [_revision(params, archive, edits[-1])]
        return
    if titles > 1:
        raise ApiError(
            "invalidparammix",
            "titles, pageids or a generator was used to supply multiple pages, but the rvlimit, "
            "rvstartid, rvendid, rvdir=newer, rvuser, rvexcludeuser, rvstart, and rvend parameters "
            "may only be used on a single page.",
        )
    newer = params.choice("rvdir", "older", ("older", "newer")) == "newer"
    edits = _between(params, archive, edits, newer)
    limit = params.number("rvlimit", 10, 50 if "content" in _rvprop(params) else 500)
    if len(edits) > limit:
        following["rvcontinue"] = f"{digits(edits[limit].time)}|{edits[limit].revision}"
    page["revisions"] = [_revision(params, archive, edit) for edit in edits[:limit]]


def _between(params: Params, archive: Archive, edits: list[Edit], newer: bool) -> list[Edit]:
    """The revisions of the asked range in the asked direction. Bounds are inclusive."""
    first, last = _place(params, archive, "rvstartid"), _place(params, archive, "rvendid")
    if (token := params.get("rvcontinue")) and (
        edit := archive.scenario.by_revision.get(_number(token.rpartition("|")[2]))
    ):
        first = (edit.time, edit.revision)
    start, end = params.time("rvstart"), params.time("rvend")
    if not newer:
        first, last, start, end = last, first, end, start
    kept = [
        edit
        for edit in edits
        if (first is None or (edit.time, edit.revision) >= first)
        and (last is None or (edit.time, edit.revision) <= last)
        and (start is None or edit.time >= start)
        and (end is None or edit.time <= end)
    ]
    return kept if newer else kept[::-1]


def _place(params: Params, archive: Archive, name: str) -> tuple[dt.datetime, int] | None:
    text = params.get(name)
    if not text:
        return None
    edit = archive.revision(_number(text), params.now)
    if edit is None:
        raise ApiError("nosuchrevid", f"There is no revision with ID {text}.")
    return edit.time, edit.revision


def _rvprop(params: Params) -> list[str]:
    return params.many("rvprop", "ids|timestamp|flags|comment|user")


def _revision(params: Params, archive: Archive, edit: Edit) -> Answer:
    props = _rvprop(params)
    row: Answer = {}
    if "ids" in props:
        row |= {"revid": edit.revision, "parentid": edit.parent_revision}
    if "flags" in props:
        params.flag(row, "minor", False)
    if "user" in props:
        row["user"] = edit.editor.name
        if edit.editor.is_anonymous:
            params.flagged(row, "anon")
        if edit.editor.is_temp:
            params.flagged(row, "temp")
    if "userid" in props:
        row["userid"] = edit.editor.user_id or 0
    if "timestamp" in props:
        row["timestamp"] = iso(edit.time)
    if "size" in props:
        row["size"] = len(edit.content or b"")
    if "sha1" in props:
        row["sha1"] = edit.sha1
    if "comment" in props:
        row["comment"] = edit.comment
    if "tags" in props:
        row["tags"] = archive.tags(edit, params.now)
    if "content" in props or "contentmodel" in props:
        _add_content(params, props, edit, row)
    return row


def _add_content(params: Params, props: list[str], edit: Edit, row: Answer) -> None:
    slot: Answer = {"contentmodel": "wikibase-item"}
    if "content" in props:
        slot["contentformat"] = "application/json"
        key = "content" if params.version == 2 else "*"
        slot[key] = (edit.content or b"").decode()
    if params.get("rvslots"):
        row["slots"] = {"main": slot}
    else:
        row.update(slot)


def _users(params: Params, archive: Archive) -> list[Answer]:
    """Accounts by name (`ususers`) with what `usprop` asks for."""
    props, rows = params.many("usprop"), []
    for name in params.many("ususers"):
        editor = archive.editors.get(name)
        if editor is None:
            rows.append(params.flagged({"name": name}, "missing"))
            continue
        row: Answer = {"name": name}
        if editor.user_id is None:
            rows.append(params.flagged(row, "invalid"))
            continue
        row = {"userid": editor.user_id, "name": name}
        if "editcount" in props:
            row["editcount"] = editor.edit_count
        if "registration" in props and editor.registered:
            row["registration"] = iso(editor.registered)
        if "groups" in props:
            row["groups"] = list(editor.groups)
        rows.append(row)
    return rows


def _number(text: str) -> int:
    if not text.isdigit():
        raise ApiError("badinteger", f'Invalid value "{text}" for an integer parameter.')
    return int(text)
