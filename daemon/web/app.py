"""`/healthz` and `/status`. Owns no state: it asks the services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

Status = Callable[[], Awaitable[dict[str, Any]]]


def create_app(status: Status) -> FastAPI:
    """An application that answers with what `status` says, and 503 when it raises."""
    app = FastAPI(title="Almanac", docs_url=None, redoc_url=None, openapi_url=None)

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

    return app
