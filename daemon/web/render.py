"""Templates to pages: the environment, its filters, and what every page is given.

Owns rendering. Autoescape is on everywhere; nothing marks text of others as safe.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from daemon.accounts import Role, Who
from daemon.web import charts, queries, texts

FOLDER = Path(__file__).parent
NAVIGATION = (
    ("overview", "/", "Overview"),
    ("review", "/review", "Review"),
    ("changes", "/changes", "Changes"),
    ("releases", "/releases", "Releases"),
    ("versions", "/versions", "Versions"),
    ("playground", "/playground", "Playground"),
    ("audit", "/audit", "Audit"),
    ("settings", "/settings", "Settings"),
)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one environment; a name that a template does not know is an error, not a blank."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        plain=texts.plain,
        name=texts.name,
        utc=texts.utc,
        span=texts.span,
        count=texts.count,
        figure=texts.figure,
        size=texts.size,
        criterion=texts.criterion,
        measure=texts.measure,
        property=texts.property_label,
        wikidata=texts.wikidata_url,
        link=texts.web_url,
        words=lambda value: str(value).replace("_", " "),
        short=lambda digest: str(digest)[:12] if digest else "–",
    )
    made.globals.update(
        navigation=NAVIGATION,
        asset=asset,
        to_url=queries.to_url,
        curve=charts.curve,
        interval=charts.interval,
        Role=Role,
    )
    return made


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The URL of a static file; it changes with the file, so browsers may keep it for good."""
    data = (FOLDER / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(data).hexdigest()[:10]}"


def page(
    request: Request,
    template: str,
    data: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
) -> HTMLResponse:
    """A whole page, or the fragment that the template is."""
    services = request.app.state.services
    who: Who | None = getattr(request.state, "who", None)
    now: dt.datetime = services.clock.now()
    values = {
        "who": who,
        "may": lambda role: who is not None and who.role.covers(role),
        "now": now,
        "ago": lambda time: texts.ago(time, now),
        "path": request.url.path,
        "alias": services.settings.gateway.alias,
        "waiting": services.queue.length() if who is not None else 0,
        **(data or {}),
    }
    text = environment().get_template(template).render(values)
    return HTMLResponse(text, status_code=status)
