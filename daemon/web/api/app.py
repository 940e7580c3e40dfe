"""The API application: its document, its errors, its routers.

Owns assembly. Every refusal is a `Problem`; every route says in the document which ones it knows.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from daemon.errors import AlmanacError, NotSignedIn
from daemon.services import Services
from daemon.web.api import accounts, changes, reading, registry
from daemon.web.api.models import Problem
from daemon.web.failures import code_of, headers_of

_ABOUT = """Review, releases and versions of Almanac. Send a token as `Authorization: Bearer ...`;
a token is made on the account page or with `almanac account token`. Lists are read by cursor: pass
`cursor` of one answer as `after` (or `before`) of the next request. A POST with an
`Idempotency-Key` acts once, however often it is sent."""
_KNOWN = (400, 401, 403, 404, 405, 409, 422)


def create_api(services: Services) -> FastAPI:
    """The application to be mounted at `/api/v1`."""
    responses: dict[int | str, dict[str, Any]] = {
        code: {"model": Problem, "description": HTTPStatus(code).phrase} for code in _KNOWN
    }
    api = FastAPI(
        title="Almanac",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        responses=responses,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="An API token"))],
    )
    api.state.services = services
    for router in (changes.router, reading.router, registry.router, accounts.router):
        api.include_router(router)
    for kind in (AlmanacError, RequestValidationError, HTTPException):
        api.add_exception_handler(kind, _problem)
    return api


def _problem(_request: Request, error: Exception) -> JSONResponse:
    headers = headers_of(error)
    if isinstance(error, AlmanacError):
        code, kind, message = code_of(error), type(error).__name__, str(error)
        if isinstance(error, NotSignedIn):
            headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, RequestValidationError):
        code, kind = 422, "Invalid"
        message = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
    elif isinstance(error, HTTPException):
        code, kind, message = error.status_code, "Http", str(error.detail)
        headers |= dict(error.headers or {})
    else:
        raise error
    body = Problem(code=kind, message=message).model_dump()
    return JSONResponse(body, status_code=code, headers=headers)
