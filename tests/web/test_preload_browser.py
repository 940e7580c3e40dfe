"""The next item is fetched while one is read, and a decision shows it without asking again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from daemon.store.states import ChangeState
from tests.web.conftest import Site


def ready(page: Any) -> None:
    page.wait_for_selector("html[data-ready]")


def test_a_decision_shows_what_was_fetched_ahead(site: Site, visit: Callable[..., Any]) -> None:
    page = visit("reviewer")
    with page.expect_response(re.compile("/review/2$")):
        page.goto("/review/1")
    ready(page)
    page.wait_for_load_state("networkidle")
    asked: list[tuple[str, str]] = []
    page.on(
        "request",
        lambda r: "/static/" in r.url or asked.append((r.method, r.url.removeprefix(site.url))),
    )
    with page.expect_response(re.compile("/review/3$")):
        page.keyboard.press("a")
    page.wait_for_url(re.compile(r"/review/2\?did=approved"))
    assert asked == [("POST", "/review/1/approve"), ("GET", "/review/3")]
    label = site.services.review.show(2).item.fact.subject.label
    assert label in page.inner_text("h1") and label in page.title()
    assert "Approved" in page.inner_text(".did")
    assert page.inner_text("[data-waiting]") == "23"
    page.keyboard.press("u")
    page.wait_for_url(re.compile(r"/review/1\?did=undone"))
    assert site.services.review.show(1).item.state is ChangeState.IN_REVIEW


def test_what_was_decided_meanwhile_is_told(site: Site, visit: Callable[..., Any]) -> None:
    page = visit("reviewer")
    with page.expect_response(re.compile("/review/2$")):
        page.goto("/review/1")
    ready(page)
    site.services.review.reject(1, actor="operator", reason="wrong")
    page.keyboard.press("a")
    page.wait_for_selector("text=Nothing was decided.")
    assert "it is rejected by operator" in page.inner_text(".problem")


def test_back_leads_to_the_item_before(site: Site, visit: Callable[..., Any]) -> None:
    page = visit("reviewer")
    with page.expect_response(re.compile("/review/2$")):
        page.goto("/review/1")
    ready(page)
    page.wait_for_load_state("networkidle")
    page.keyboard.press("j")
    page.wait_for_url(re.compile(r"/review/2$"))
    page.go_back()
    page.wait_for_url(re.compile(r"/review/1$"))
    label = site.services.review.show(1).item.fact.subject.label
    page.wait_for_function(
        "text => document.querySelector('h1').innerText.includes(text)", arg=label
    )
