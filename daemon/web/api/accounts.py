"""Tokens and people over the API. No key and no link is ever kept for a repeated request."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from daemon.accounts import Role, Token, User
from daemon.web.api.models import (
    ChangeUser,
    Done,
    Id,
    MadeToken,
    MadeUser,
    NewToken,
    NewUser,
)
from daemon.web.identity import Admin, Open, Viewer

router = APIRouter()
UserName = Annotated[str, Path(max_length=40, pattern=r"^[a-z][a-z0-9._-]*$")]


@router.get("/tokens")
def tokens(services: Open, who: Viewer) -> list[Token]:
    """One's own tokens; an admin's view is of all."""
    return services.accounts.tokens(None if who.role is Role.ADMIN else who.name)


@router.post("/tokens")
def new_token(services: Open, who: Viewer, body: NewToken) -> MadeToken:
    """A token for oneself, with at most the role of the key that asks."""
    role = min(body.role, who.role, key=lambda one: one.rank)
    token, secret = services.accounts.new_token(
        who.name, body.label, role, days=body.days, actor=who.name
    )
    return MadeToken(token=token, secret=secret)


@router.delete("/tokens/{token_id}")
def revoke(services: Open, who: Viewer, token_id: Id) -> Done:
    mine = None if who.role is Role.ADMIN else who.name
    services.accounts.revoke(token_id, actor=who.name, only_of=mine)
    return Done(id=token_id, done="revoked")


@router.get("/users")
def users(services: Open, who: Admin) -> list[User]:
    return services.accounts.users()


@router.post("/users")
def add_user(services: Open, who: Admin, body: NewUser) -> MadeUser:
    """A new account, with a one-time link into it."""
    user = services.accounts.add(body.name, body.role, actor=who.name)
    link = f"/enter/{services.accounts.link(user=user.name)}"
    return MadeUser(name=user.name, role=user.role, link=link)


@router.patch("/users/{name}")
def change_user(services: Open, who: Admin, name: UserName, body: ChangeUser) -> User:
    """Another role, or no way in."""
    return services.accounts.change(name, actor=who.name, role=body.role, disabled=body.disabled)
