"""The web application: pages, JSON API, health and status, assembled.

Owns the order of middleware, routes and error pages; no state of its own. `/healthz` and `/status`
ask nobody who they are, everything else does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from daemon.config import SettingSource
from daemon.errors import AlmanacError
from daemon.services import Services
from daemon.web import live, render
from daemon.web.api.app import create_api
from daemon.web.failures import error_page
from daemon.web.identity import cookie_name
from daemon.web.pages import ROUTERS
from daemon.web.security import Guard
from daemon.web.snapshot import OneSnapshot

Status = Callable[[], Awaitable[dict[str, Any]]]
log = structlog.get_logger()


class _Static(StaticFiles):
    """Files whose URL changes with them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def create_app(
    services: Services, status: Status, *, sources: tuple[SettingSource, ...] = ()
) -> FastAPI:
    """The application over opened services. `status` is what `/status` says, and a failing
    `/healthz` when it raises; `sources` are the settings with their origin, for their page."""
    app = FastAPI(title="Almanac", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.services = services
    app.state.sources = sources
    app.state.pulse = live.Pulse(services)
    app.state.csp_reports = deque(maxlen=100)
    app.add_middleware(OneSnapshot, services=services)
    app.add_middleware(Guard, settings=services.settings, cookie=cookie_name(services.settings))
    for kind in (AlmanacError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, error_page)
    _add_health(app, status)
    app.mount("/static", _Static(directory=render.FOLDER / "static"), name="static")
    app.mount("/api/v1", create_api(services))
    app.include_router(live.router)
    for router in ROUTERS:
        app.include_router(router)
    return app


def _add_health(app: FastAPI, status: Status) -> None:
    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        try:
            await status()
        except Exception as error:
            return JSONResponse({"status": "failing", "reason": str(error)}, status_code=503)
        return JSONResponse({"status": "ok"})

    @app.get("/status")
    async def status_page() -> JSONResponse:
        return JSONResponse(await status())

    @app.post("/csp-report")
    async def csp_report(request: Request) -> Response:
        """What a browser refused to load: there should never be any."""
        report = (await request.body())[:4_000].decode("utf-8", "replace")
        app.state.csp_reports.append(report)
        log.warning("web.csp_report", report=report)
        return Response(status_code=204)
