"""`/healthz`, `/readyz`, `/status` and `/metrics`, for people's tools and for machines.

Owns the addresses and status codes; the answers are those of the `Probes` that it is given. Health
and readiness are told to whoever asks; status and metrics too, where the port is one of their own
(`health.port`) or the web's.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from daemon.listening import listen
from daemon.operating import HealthSettings
from daemon.stopping import Server

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Probes(Protocol):
    """What a process can say of itself."""

    async def alive(self) -> str | None: ...

    async def unready(self) -> list[str]: ...

    async def status(self) -> dict[str, Any]: ...

    def metrics(self) -> bytes: ...


def application(probes: Probes, pages: ASGIApp | None) -> ASGIApp:
    """The endpoints, before the pages where there are some."""

    async def healthz(_: Request) -> Response:
        reason = await probes.alive()
        if reason is not None:
            return JSONResponse({"status": "failing", "reason": reason}, status_code=503)
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        reasons = await probes.unready()
        if reasons:
            return JSONResponse({"status": "not ready", "reasons": reasons}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def status(_: Request) -> Response:
        try:
            return JSONResponse(await probes.status())
        except Exception as error:
            reason = str(error).splitlines()[0]
            return JSONResponse({"status": "failing", "reason": reason}, status_code=503)

    async def metrics(_: Request) -> Response:
        return Response(await asyncio.to_thread(probes.metrics), media_type=METRICS_TYPE)

    routes: list[BaseRoute] = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/status", status),
        Route("/metrics", metrics),
    ]
    if pages is not None:
        routes.append(Mount("/", pages))
    return Starlette(routes=routes)


def serve_apart(settings: HealthSettings, probes: Probes) -> list[asyncio.Task[None]]:
    """The endpoints on a port of their own, where the settings name one; the serving task.

    Raises ConfigError for a busy port.
    """
    if settings.port is None:
        return []
    listening = listen(settings.host, settings.port, "health.port")
    config = uvicorn.Config(
        application(probes, None),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    return [asyncio.create_task(Server(config).serve(sockets=[listening]))]
