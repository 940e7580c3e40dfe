"""What a person sees when something is refused: what happened and what to do next.

Owns the status code of each kind of error, for pages and API alike.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from daemon.errors import (
    AlmanacError,
    BlobError,
    Conflict,
    Forbidden,
    IllegalTransition,
    NotFound,
    NotPromotable,
    NotSignedIn,
    Retryable,
    Throttled,
)
from daemon.web import render

_CODES: tuple[tuple[type[AlmanacError], int], ...] = (
    (NotSignedIn, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Throttled, 429),
    (Conflict, 409),
    (IllegalTransition, 409),
    (NotPromotable, 409),
    (BlobError, 409),
    (Retryable, 503),
)


def code_of(error: AlmanacError) -> int:
    """The HTTP status of an error; 400 for what is none of the known kinds."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 400)


def headers_of(error: Exception) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(error.after_s))} if isinstance(error, Throttled) else {}


def error_page(request: Request, error: Exception) -> Response:
    """A page for a refusal; somebody who is not signed in is led to the door."""
    if isinstance(error, NotSignedIn):
        if request.method == "GET" and request.headers.get("sec-fetch-mode") != "cors":
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(here)}", status_code=303)
        code, message = 401, str(error)
    elif isinstance(error, AlmanacError):
        code, message = code_of(error), str(error)
    elif isinstance(error, RequestValidationError):
        where = ", ".join(str(problem["loc"][-1]) for problem in error.errors()[:5])
        code, message = 422, f"This address does not make sense: {where}"
    elif isinstance(error, HTTPException):
        code, message = error.status_code, str(error.detail)
        if code == 404:
            message = "There is no such page; the navigation leads everywhere."
    else:
        raise error
    data = {"code": code, "phrase": HTTPStatus(code).phrase, "message": message, "at": ""}
    response = render.page(request, "error.html", data, status=code)
    response.headers.update(headers_of(error))
    return response
