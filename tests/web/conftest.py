"""Browser tests: the application on a port of its own, Debian's Chromium in front of it.

Without a browser they skip, and say so. Screenshots lie in `build/screenshots`.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from daemon.listening import listen
from daemon.services import Services
from tests.review_support import PASSWORD, add_people, app_of, opened

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
AXE = Path(__file__).with_name("vendor") / "axe.min.js"
WAITING = 24


def chromium() -> str | None:
    """Where the browser is: `CHROMIUM`, or what the system has."""
    named = os.environ.get("CHROMIUM")
    return named or next(
        (p for n in ("chromium", "chromium-browser") if (p := shutil.which(n))), None
    )


@dataclass
class Site:
    """A running application."""

    url: str
    services: Services
    app: Any


@pytest.fixture(scope="module")  # its event loop runs in this thread: no test behind may meet it
def browser() -> Iterator[Any]:
    path = chromium()
    if path is None:
        pytest.skip(
            "no browser: install chromium (apt-get install chromium), or name it: CHROMIUM="
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def serve(services: Services) -> Iterator[Site]:
    """The application in a thread, until the test is over."""
    app = app_of(services)
    listening = listen("127.0.0.1", 0, "web.port")
    config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the application did not start"
        time.sleep(0.01)
    yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", services, app)
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path, WAITING, sample_share=0.0) as services:
        add_people(services)
        yield from serve(services)


@pytest.fixture
def visit(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    """A new browser of its own, signed in as that user; fails on any error of a page."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_as(user: str | None = "reviewer", **options: Any) -> Any:
        options = {"viewport": {"width": 1440, "height": 900}, **options}
        context = browser.new_context(base_url=site.url, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        if user is not None:
            page.goto("/login")
            page.fill("[name=name]", user)
            page.fill("[name=password]", PASSWORD)
            page.click("button.primary")
            page.wait_for_url(f"{site.url}/")
        return page

    yield open_as
    for context in contexts:
        context.close()
    assert errors == []
    assert list(site.app.state.csp_reports) == []
