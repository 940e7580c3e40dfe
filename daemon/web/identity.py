"""Who asks, and whether their role is enough.

Owns the cookie and the dependencies of the routes. Accounts themselves are `daemon.accounts`.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from daemon.accounts import Role, Who
from daemon.config import Settings
from daemon.errors import Forbidden, NotSignedIn
from daemon.services import Services


def cookie_name(settings: Settings) -> str:
    """Browsers keep `__Host-` cookies for TLS alone."""
    return "__Host-almanac" if settings.web.behind_tls else "almanac"


def services_of(request: Request) -> Services:
    return request.app.state.services


def asks(request: Request) -> Who | None:
    """Whoever the token or the cookie belongs to; a token that is shown counts alone."""
    services = services_of(request)
    header = request.headers.get("authorization", "")
    if header:
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return services.accounts.bearer(secret.strip())
    secret = request.cookies.get(cookie_name(services.settings))
    return services.accounts.who(secret) if secret else None


def address_of(request: Request) -> str:
    """Where a request comes from. Behind a proxy that is what the proxy says of its client: the
    last address of X-Forwarded-For, because those before it are the client's own words."""
    nearest = request.client.host if request.client else ""
    if not services_of(request).settings.web.behind_tls:
        return nearest
    said = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
    try:
        return str(ip_address(said))
    except ValueError:
        return nearest


def at_least(role: Role) -> Callable[[Request], Who]:
    """A dependency that lets that role and higher ones in. Raises NotSignedIn, Forbidden."""

    def admit(request: Request) -> Who:
        who = asks(request)
        if who is None:
            raise NotSignedIn("sign in first, or send a token: `Authorization: Bearer ...`")
        if not who.role.covers(role):
            raise Forbidden(f"this needs the role {role}; {who.name} is {who.role}")
        request.state.who = who
        return who

    return admit


Viewer = Annotated[Who, Depends(at_least(Role.VIEWER))]
Reviewer = Annotated[Who, Depends(at_least(Role.REVIEWER))]
Operator = Annotated[Who, Depends(at_least(Role.OPERATOR))]
Admin = Annotated[Who, Depends(at_least(Role.ADMIN))]
Open = Annotated[Services, Depends(services_of)]


def remember(response: Response, settings: Settings, secret: str) -> Response:
    """Put the session into the browser."""
    response.set_cookie(
        cookie_name(settings),
        secret,
        max_age=int(settings.web.session_h * 3600),
        httponly=True,
        samesite="lax",
        secure=settings.web.behind_tls,
        path="/",
    )
    return response
