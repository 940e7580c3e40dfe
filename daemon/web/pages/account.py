"""Coming in and going out: login, one-time links, one's own tokens; for admins, all accounts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from daemon.accounts import Role
from daemon.errors import AlmanacError, Conflict, NotFound, NotSignedIn, Throttled
from daemon.web.failures import code_of, headers_of
from daemon.web.forms import Sent
from daemon.web.identity import Admin, Open, Viewer, address_of, asks, cookie_name, remember
from daemon.web.render import page

router = APIRouter()


@router.get("/login")
def login_page(request: Request, services: Open, next: str = "/") -> Response:
    if asks(request) is not None:
        return RedirectResponse(_inside(next), status_code=303)
    return page(request, "login.html", _login(services.accounts.any(), next))


@router.post("/login")
def log_in(request: Request, services: Open, form: Sent) -> Response:
    try:
        secret = services.accounts.log_in(
            form["name"], form["password"], address=address_of(request)
        )
    except (NotSignedIn, Throttled) as error:
        data = _login(True, form["next"], name=form["name"], problem=str(error))
        response = page(request, "login.html", data, status=code_of(error))
        response.headers.update(headers_of(error))
        return response
    response = RedirectResponse(_inside(form["next"]), status_code=303)
    return remember(response, services.settings, secret)


@router.post("/logout")
def log_out(request: Request, services: Open) -> Response:
    name = cookie_name(services.settings)
    services.accounts.log_out(request.cookies.get(name, ""))
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(name, path="/", secure=services.settings.web.behind_tls, httponly=True)
    return response


@router.get("/enter/{secret}")
def enter_page(request: Request, services: Open, secret: str) -> Response:
    """A link is used by a press of the button: a look ahead at it must not use it up."""
    user, role = services.accounts.link_is_for(secret)
    return page(request, "enter.html", _enter(secret, user, role))


@router.post("/enter/{secret}")
def enter(request: Request, services: Open, secret: str, form: Sent) -> Response:
    user, role = services.accounts.link_is_for(secret)
    try:
        if form["password"] != form["again"]:
            raise Conflict("the two passwords differ")
        session = services.accounts.use_link(
            secret, name=form["name"].strip(), password=form["password"]
        )
    except Conflict as error:
        data = _enter(secret, user, role, name=form["name"], problem=str(error))
        return page(request, "enter.html", data, status=409)
    return remember(RedirectResponse("/", status_code=303), services.settings, session)


@router.get("/account")
def account_page(request: Request, services: Open, who: Viewer) -> Response:
    return _account(request, services, who)


@router.post("/account/tokens")
def new_token(request: Request, services: Open, who: Viewer, form: Sent) -> Response:
    try:
        role = Role(form["role"]) if form["role"] in set(Role) else Role.VIEWER
        days = int(form["days"]) if form["days"].isdigit() else 90
        _, secret = services.accounts.new_token(
            who.name, form["label"], role, days=days, actor=who.name
        )
    except AlmanacError as error:
        return _account(request, services, who, problem=str(error), status=code_of(error))
    return _account(request, services, who, secret=secret)


@router.post("/account/tokens/{token_id}/revoke")
def revoke(services: Open, who: Viewer, token_id: int) -> Response:
    mine = None if who.role is Role.ADMIN else who.name
    services.accounts.revoke(token_id, actor=who.name, only_of=mine)
    return RedirectResponse("/account", status_code=303)


@router.post("/account/users")
def add_user(request: Request, services: Open, who: Admin, form: Sent) -> Response:
    """A new account comes with a link, so that nobody sends passwords around."""
    try:
        role = Role(form["role"]) if form["role"] in set(Role) else Role.VIEWER
        user = services.accounts.add(form["name"].strip(), role, actor=who.name)
    except AlmanacError as error:
        return _account(request, services, who, problem=str(error), status=code_of(error))
    secret = services.accounts.link(user=user.name)
    return _account(request, services, who, link=(user.name, _url(request, secret)))


@router.post("/account/users/{name}")
def change_user(request: Request, services: Open, who: Admin, name: str, form: Sent) -> Response:
    try:
        if form["do"] == "link":
            secret = services.accounts.link(user=name)
            return _account(request, services, who, link=(name, _url(request, secret)))
        role = Role(form["role"]) if form["role"] in set(Role) else None
        disabled = {"disable": True, "enable": False}.get(form["do"])
        services.accounts.change(name, actor=who.name, role=role, disabled=disabled)
    except NotFound:
        raise
    except AlmanacError as error:
        return _account(request, services, who, problem=str(error), status=code_of(error))
    return RedirectResponse("/account", status_code=303)


def _account(
    request: Request,
    services: Open,
    who: Viewer,
    *,
    secret: str = "",
    link: tuple[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    admin = who.role is Role.ADMIN
    data = {
        "at": "account",
        "tokens": services.accounts.tokens(None if admin else who.name),
        "users": services.accounts.users() if admin else [],
        "secret": secret,
        "made_link": link,
        "problem": problem,
        "roles": [role for role in Role if who.role.covers(role)],
    }
    return page(request, "account.html", data, status=status)


def _login(accounts: bool, next: str, *, name: str = "", problem: str = "") -> dict[str, object]:
    return {"at": "", "accounts": accounts, "next": next, "name": name, "problem": problem}


def _enter(
    secret: str, user: str | None, role: Role, *, name: str = "", problem: str = ""
) -> dict[str, object]:
    return {
        "at": "",
        "secret": secret,
        "user": user,
        "role": role,
        "name": name,
        "problem": problem,
    }


def _inside(url: str) -> str:
    """Only ever a page of ours: a login must not lead to another site."""
    bad = not url.startswith("/") or url.startswith("//") or "\\" in url
    return "/" if bad or any(ord(c) < 32 for c in url) else url


def _url(request: Request, secret: str) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', '')}/enter/{secret}"
