"""The gate's report in a real browser: nothing fetched, light, dark and print. Owns these rows.

Pictures are left in `build/bench/gate-report-*.png` and a printed page in `.pdf`: that they read
well is for people to see.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from daemon.bench.gate_evidence import example_report
from daemon.bench.rows import FOLDER, Op, Row
from evaluator.report import write_report

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_LOOKS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_WIDTH, _HEIGHT = 1200, 900


def report_rows() -> list[Row]:
    """Requests that the page makes beyond itself, and errors that it reports, in each look."""
    what = "report in Chromium, {}: requests and errors"
    browser = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        return [_row(what.format(look), None, "no Chromium here") for look in (*_LOOKS, "print")]
    page_file = write_report(example_report(), FOLDER, name="gate-report")["html"]
    return [
        _row(what.format(look), count, detail)
        for look, count, detail in _opened(Path(browser), page_file.resolve())
    ]


def _row(what: str, value: float | None, detail: str) -> Row:
    return Row(what=what, value=value, unit="", bar=0, op=Op.EQUAL, detail=detail)


def _opened(browser: Path, page_file: Path) -> list[tuple[str, int, str]]:
    from playwright.sync_api import sync_playwright

    found: list[tuple[str, int, str]] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(browser), args=["--no-sandbox", "--disable-gpu"]
        )
        for look in _LOOKS:
            context = chromium.new_context(
                color_scheme=look,
                offline=True,
                viewport={"width": _WIDTH, "height": _HEIGHT},
            )
            page, troubles = _load(context, page_file)
            picture = page_file.with_name(f"gate-report-{look}.png")
            page.screenshot(path=str(picture), full_page=True)
            found.append((look, len(troubles), "; ".join(troubles) or picture.name))
            if look == "light":
                printed = page_file.with_suffix(".pdf")
                page.emulate_media(media="print")
                page.pdf(path=str(printed), prefer_css_page_size=True)
                found.append(("print", len(troubles), printed.name))
            context.close()
        chromium.close()
    return found


def _load(context: Any, page_file: Path) -> tuple[Any, list[str]]:
    page = context.new_page()
    troubles: list[str] = []
    own = page_file.as_uri()
    page.on("request", lambda r: troubles.append(r.url) if r.url != own else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
    page.goto(own)
    page.wait_for_load_state("networkidle")
    return page, troubles
