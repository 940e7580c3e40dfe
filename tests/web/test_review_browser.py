"""Reviewing in a browser: by keyboard alone, beside somebody else, and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from daemon.store.states import ChangeState
from tests.review_support import PASSWORD
from tests.web.conftest import Site

REJECT, EDIT = {4, 9, 15}, {3, 8, 12}


@pytest.mark.slow
def test_twenty_proposals_by_keyboard(site: Site, visit: Callable[..., Any]) -> None:
    """14 approved, 3 edited, 3 rejected, with one undo; the trail shows exactly that."""
    page = visit("reviewer")
    head = site.services.audit.head()
    page.goto("/review")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    for number in range(1, 21):
        page.wait_for_url(re.compile(rf"/review/{number}(\?|$)"))
        ready(page)
        if number in EDIT:
            edit_by_keyboard(page, number)
            page.keyboard.press("a")
        elif number in REJECT:
            page.keyboard.press("r")
            page.wait_for_selector("#reject[open]")
            page.keyboard.press("2")
            page.keyboard.press("Enter")
        else:
            page.keyboard.press("a")
        if number == 6:  # too fast: take it back, look again, approve
            page.wait_for_url(re.compile(r"/review/7\?"))
            ready(page)
            page.keyboard.press("u")
            page.wait_for_url(re.compile(r"/review/6\?did=undone"))
            ready(page)
            page.keyboard.press("a")
    page.wait_for_url(re.compile(r"/review/21\?"))
    assert decisions(site, head) == expected()
    states = {n: site.services.review.show(n).item.state for n in range(1, 22)}
    assert [n for n, s in states.items() if s is ChangeState.REJECTED] == sorted(REJECT)
    assert sum(s is ChangeState.APPROVED for s in states.values()) == 17
    assert states[21] is ChangeState.IN_REVIEW
    assert {n: site.services.review.show(n).item.version for n in EDIT} == dict.fromkeys(EDIT, 2)


def ready(page: Any) -> None:
    page.wait_for_selector("html[data-ready]")


def edit_by_keyboard(page: Any, number: int) -> None:
    page.keyboard.press("e")
    page.wait_for_url(re.compile(rf"/review/{number}/edit"))
    ready(page)
    page.locator("#claim-new").focus()  # as by Tab: the order of the sentences differs
    page.keyboard.press("End")
    page.keyboard.press("Control+End")
    page.keyboard.press("Backspace")
    page.keyboard.type(" now.")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile(rf"/review/{number}\?did=edited"))
    ready(page)


def decisions(site: Site, head: int) -> list[tuple[int, str]]:
    """(change, what) of each act since event `head`, oldest first."""
    found: list[tuple[int, str]] = []
    for event in reversed(site.services.audit.page(entity="change", limit=200).items):
        if event.id > head:
            assert event.actor == "reviewer" and event.data["client"] == "web"
            found.append((int(event.entity_id), event.to_state or str(event.data.get("verb"))))
    return found


def expected() -> list[tuple[int, str]]:
    told: list[tuple[int, str]] = []
    for number in range(1, 21):
        if number in EDIT:
            told.append((number, "edit"))
        told.append((number, "rejected" if number in REJECT else "approved"))
        if number == 6:
            told += [(6, "in_review"), (6, "approved")]
    return told


def test_a_second_browser_gets_the_conflict_and_loses_no_text(
    site: Site, visit: Callable[..., Any]
) -> None:
    ann, bob = visit("reviewer"), visit("operator")
    for page in (ann, bob):
        page.goto("/review/1/edit")
    ann.fill("#claim-transition", ann.input_value("#claim-transition") + " ")
    ann.fill("#claim-new", ann.input_value("#claim-new").rstrip(".") + " now.")
    ann.click("button.primary")
    ann.wait_for_url(re.compile("did=edited"))
    mine = bob.input_value("#claim-legacy").rstrip(".") + ", as is recorded."
    bob.fill("#claim-legacy", mine)
    with bob.expect_response(lambda r: r.request.method == "POST") as answer:
        bob.click("button.primary")
    assert answer.value.status == 409
    bob.wait_for_selector("text=Two edits of one draft")
    assert bob.input_value("#claim-legacy") == mine
    assert bob.locator("ins", has_text="now").count() == 1  # hers, beside his
    assert len(site.services.review.show(1).drafts) == 2
    bob.click("text=Save mine as version 3")
    bob.wait_for_url(re.compile("did=edited"))
    drafts = site.services.review.show(1).drafts
    assert [d.author for d in drafts] == ["template/1", "reviewer", "operator"]
    assert drafts[-1].unit.narrative and mine in drafts[-1].unit.narrative.prose


def test_a_stale_approval_is_refused_with_what_changed(
    site: Site, visit: Callable[..., Any]
) -> None:
    ann, bob = visit("reviewer"), visit("operator")
    bob.goto("/review/2")
    ann.goto("/review/2/edit")
    ann.fill("#claim-new", ann.input_value("#claim-new").rstrip(".") + " now.")
    ann.click("button.primary")
    ann.wait_for_url(re.compile("did=edited"))
    with bob.expect_response(lambda r: r.request.method == "POST") as answer:
        bob.keyboard.press("a")
    assert answer.value.status == 409
    bob.wait_for_selector("text=Nothing was decided.")
    assert bob.locator(".problem ins", has_text="now").count() == 1
    assert site.services.review.show(2).item.state is ChangeState.IN_REVIEW


def test_approve_and_reject_without_javascript(site: Site, visit: Callable[..., Any]) -> None:
    page = visit("reviewer", java_script_enabled=False)
    page.goto("/review")
    page.click("tbody a >> nth=0")
    page.click("button:has-text('Approve')")
    page.wait_for_url(re.compile(r"/review/2\?did=approved"))
    page.click("summary:has-text('Reject')")
    page.check("input[value='the evidence is too weak']")
    page.click("text=Reject with this reason")
    page.wait_for_url(re.compile(r"/review/3\?did=rejected"))
    assert site.services.review.show(1).item.state is ChangeState.APPROVED
    rejected = site.services.review.show(2)
    assert rejected.audit[-1].reason == "the evidence is too weak"
    page.goto("/review")
    page.check("tbody input >> nth=0")
    page.check("tbody input >> nth=1")
    page.click("button:has-text('chosen')")
    page.click("button.primary")
    page.wait_for_selector("text=2 approved")


def test_bulk_by_keyboard(site: Site, visit: Callable[..., Any]) -> None:
    page = visit("reviewer")
    page.goto("/review")
    ready(page)
    for key in ("j", "x", "j", "x", "Shift+A"):
        page.keyboard.press(key)
    page.wait_for_url(re.compile("/review/bulk"))
    ready(page)
    page.keyboard.press("a")
    page.wait_for_selector("text=2 approved")
    assert site.services.review.counts()["approved"] == 2


def test_search_filters_while_one_types(visit: Callable[..., Any], site: Site) -> None:
    page = visit("reviewer")
    page.goto("/review")
    ready(page)
    label = site.services.review.show(5).item.fact.subject.label
    page.keyboard.press("/")
    page.keyboard.type(label)
    page.wait_for_url(re.compile(r"\?.*q="))
    page.wait_for_function("document.querySelectorAll('[data-row]').length < 24")
    assert label in page.inner_text("[data-row] >> nth=0")


def test_an_open_page_is_told_of_what_happens(site: Site, visit: Callable[..., Any]) -> None:
    page = visit("viewer")
    page.goto("/")
    page.wait_for_selector("body[data-connected]")
    digest = site.services.review.show(1).item.digest
    site.services.review.approve(1, digest or "", actor="somebody", reason="told live")
    page.wait_for_selector("text=told live")


def test_the_first_account_is_made_by_a_link(site: Site, visit: Callable[..., Any]) -> None:
    secret = site.services.accounts.link()
    page = visit(None)
    page.goto(f"/enter/{secret}")
    page.fill("[name=name]", "founder")
    page.fill("[name=password]", PASSWORD)
    page.fill("[name=again]", PASSWORD)
    page.click("button.primary")
    page.wait_for_url(f"{site.url}/")
    assert "founder" in page.inner_text(".me")
    page.context.clear_cookies()
    assert page.goto(f"/enter/{secret}").status == 404
