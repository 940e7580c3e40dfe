"""Every page in a browser: accessible, nothing cut or over the edge, hostile text is text."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from daemon.store.drafts import add_draft
from daemon.store.rows import ChangeRow, DraftRow, EvidenceRow
from knowledge import codec
from knowledge.edits import EditUnit
from knowledge.facts import Entity
from knowledge.narrative import Evidence
from tests.review_support import NOW
from tests.web.conftest import AXE, SCREENSHOTS, Site

PAGES = {
    "overview": "/",
    "inbox": "/review",
    "nothing-found": "/review?q=nothing",
    "item": "/review/1",
    "edit": "/review/1/edit",
    "bulk": "/review/bulk?id=1&id=2",
    "changes": "/changes",
    "dismissed": "/changes/dismissed",
    "releases": "/releases",
    "versions": "/versions",
    "version": "/versions/base",
    "compare": "/versions/compare",
    "playground": "/playground",
    "audit": "/audit?check=true",
    "settings": "/settings/dry-run",
    "account": "/account",
}
SIZES = {"desk": (1440, 900), "phone": (390, 844)}


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible_and_fit(theme: str, visit: Callable[..., Any]) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = visit("admin", color_scheme=theme)
    found: dict[str, list[str]] = {}
    for name, path in PAGES.items():
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            response = page.goto(path)
            assert response.status == 200, path
            page.wait_for_selector("html[data-ready]")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} at {width} is {wide} wide"
            page.screenshot(path=SCREENSHOTS / f"{name}-{theme}-{size}.png", full_page=True)
        found[name] = violations(page)
    assert {name: told for name, told in found.items() if told} == {}


def test_the_door_is_accessible(visit: Callable[..., Any], site: Site) -> None:
    page = visit(None)
    for path in ("/login", f"/enter/{site.services.accounts.link()}", "/enter/nothing"):
        page.goto(path)
        assert violations(page) == [], path


def violations(page: Any) -> list[str]:
    """What axe-core calls serious or critical."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:160]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


HOSTILE = (
    '<script>window.hurt=1</script><img src=x onerror="window.hurt=1">'
    "\u202egnirts\u202c {{ 7*7 }} '\"--> javascript:window.hurt=1"
)


def test_hostile_text_is_shown_as_text(site: Site, visit: Callable[..., Any]) -> None:
    """In labels (100 kB of them), evidence, narrative, findings, reasons and filters."""
    poison(site)
    page = visit("reviewer")
    for path in (
        "/review/1",
        "/review",
        "/review/1/edit",
        "/changes",
        "/audit",
        "/",
        "/review/bulk?id=1",
    ):
        assert page.goto(path).status == 200
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate("window.hurt") is None, path
        assert page.evaluate("document.querySelectorAll('main script, main img').length") == 0
        assert "\u202e" not in page.inner_text("body"), path
        assert len(page.content()) < 400_000, path
    page.goto(f"/review?q={HOSTILE[:100]}&property=%3Cscript%3E&kind=%22%3E%3Cscript%3E")
    assert page.evaluate("window.hurt") is None
    page.goto("/review/1")
    assert "<script>window.hurt=1</script>" in page.inner_text(".item-main")
    assert "⟨U+202E⟩" in page.inner_text(".item-main")
    hostile_links = "a[href^='javascript:'], a[href^='data:']"
    assert page.locator(hostile_links).count() == 0


def poison(site: Site) -> None:
    label = HOSTILE + "x" * 100_000
    evidence = Evidence(
        source=f"reference:{HOSTILE}",
        url="javascript:window.hurt=1",
        retrieved_at=NOW.isoformat(),
        text=HOSTILE + label,
    )
    with site.services.database.write() as session:
        row = session.get(ChangeRow, 1)
        draft = session.get(DraftRow, 1)
        assert row is not None and draft is not None
        unit = codec.from_data(EditUnit, draft.unit)
        assert unit.narrative is not None
        change = dataclasses.replace(
            unit.change,
            subject=Entity(id="javascript:1", label=label, kind=HOSTILE),
            new=Entity(id="Q1", label=label),
            reason=label,
            corroborations=(HOSTILE,),
        )
        claims = tuple(
            dataclasses.replace(c, text=f"{c.kind}: {HOSTILE}") for c in unit.narrative.claims
        )
        narrative = dataclasses.replace(
            unit.narrative, claims=claims, prose=" ".join(c.text for c in claims), cause=HOSTILE
        )
        session.add(
            EvidenceRow(
                id=evidence.id,
                source=evidence.source,
                url=evidence.url,
                retrieved_at=evidence.retrieved_at,
                text=evidence.text,
            )
        )
        session.flush()
        add_draft(
            session,
            row,
            dataclasses.replace(unit, change=change, narrative=narrative),
            findings=[{"rule": "hygiene", "message": HOSTILE, "claim": "new", "source": "rules"}],
            evidence=[evidence.id],
            facts=[],
            lineage={},
            author=HOSTILE,
            now=NOW,
        )
        row.fact = codec.to_data(change)
        row.reason = label
        session.add(row)
    site.services.review.skip(1, actor=HOSTILE[:80], reason=HOSTILE)
