"""Accounts: users, logins, one-time links and API tokens over the database.

Owns who may come in and for how long, and slowing down whoever guesses. What a role may do is
decided where it is done.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from daemon.accounts.passwords import digest, hash_password, is_password, new_secret
from daemon.accounts.roles import Role, Who
from daemon.accounts.throttle import check, forgive, note_failure
from daemon.clock import Clock
from daemon.errors import Conflict, NotFound, NotSignedIn
from daemon.store.account_rows import LinkRow, LoginRow, TokenRow, UserRow
from daemon.store.engine import Database
from daemon.store.states import record_event

LINK_H = 24.0
MAX_TOKEN_DAYS = 365
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One account."""

    name: str
    role: Role
    disabled: bool
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One API token; its secret is told once, when it is made."""

    id: int
    label: str
    user: str
    role: Role
    created_at: dt.datetime
    expires_at: dt.datetime
    revoked: bool


class Accounts:
    """Blocking calls; the event loop uses them through a thread."""

    def __init__(self, database: Database, clock: Clock, *, session_h: float = 12.0) -> None:
        self._database = database
        self._clock = clock  # of the trail alone
        self._session = dt.timedelta(hours=session_h)

    # -- users ------------------------------------------------------------------------------------

    def any(self) -> bool:
        """Whether there is an account at all."""
        with self._database.read() as session:
            return session.exec(select(func.count()).select_from(UserRow)).one() > 0

    def users(self) -> list[User]:
        with self._database.read() as session:
            return [_user(r) for r in session.exec(select(UserRow).order_by(col(UserRow.name)))]

    def add(self, name: str, role: Role, *, password: str | None = None, actor: str) -> User:
        """A new account. Without a password only a one-time link lets them in. Raises Conflict for
        a name that is taken or none, and for a poor password."""
        hashed = hash_password(password) if password is not None else None
        with self._database.write() as session:
            row = _add(session, name, role, hashed)
            self._note(session, name, actor, f"account made: {role}")
            return _user(row)

    def change(
        self,
        name: str,
        *,
        actor: str,
        role: Role | None = None,
        disabled: bool | None = None,
        password: str | None = None,
    ) -> User:
        """Another role, another password, or no way in. Ends the logins of the account. Raises
        NotFound, and Conflict when nobody would be left to administer."""
        hashed = hash_password(password) if password is not None else None
        with self._database.write() as session:
            row = _get(session, name)
            stays = (role or Role(row.role)) is Role.ADMIN and not (
                row.disabled if disabled is None else disabled
            )
            if row.role == Role.ADMIN and not row.disabled and not stays:
                _refuse_last_admin(session, name)
            told = [f"role {role}"] if role is not None and role != row.role else []
            row.role = role or row.role
            if disabled is not None and disabled != row.disabled:
                row.disabled = disabled
                told.append("disabled" if disabled else "enabled")
            if hashed is not None:
                row.password = hashed
                told.append("new password")
            session.add(row)
            for login in session.exec(select(LoginRow).where(LoginRow.user == name)).all():
                session.delete(login)
            self._note(session, name, actor, ", ".join(told) or "nothing changed")
            return _user(row)

    # -- logins -----------------------------------------------------------------------------------

    def log_in(self, name: str, password: str, *, address: str) -> str:
        """The secret of a new session. Raises NotSignedIn for a wrong name or password alike, and
        Throttled after too many of them."""
        keys = (f"user:{name[:80]}", f"address:{address}")
        with self._database.write() as session:
            check(session, keys, _now())
        with self._database.read() as session:
            row = session.get(UserRow, name)
        right = is_password(password, row.password if row else None)
        with self._database.write() as session:
            if not right or row is None or row.disabled:
                note_failure(session, keys, _now())
            else:
                forgive(session, keys)
                return self._open(session, name)
        raise NotSignedIn("that name and that password do not belong together")

    def who(self, secret: str) -> Who | None:
        """Whose session this is; None when it is none, or over."""
        with self._database.read() as session:
            login = session.get(LoginRow, digest(secret))
            if login is None or login.expires_at <= _now():
                return None
            user = session.get(UserRow, login.user)
        if user is None or user.disabled:
            return None
        return Who(name=user.name, role=Role(user.role), via="web")

    def log_out(self, secret: str) -> None:
        with self._database.write() as session:
            login = session.get(LoginRow, digest(secret))
            if login is not None:
                session.delete(login)

    # -- one-time links ---------------------------------------------------------------------------

    def link(self, *, user: str | None = None, role: Role = Role.ADMIN) -> str:
        """The secret of a link that works once: into `user`'s account, or to make a new one."""
        secret = new_secret("enter")
        with self._database.write() as session:
            if user is not None:
                role = Role(_get(session, user).role)
            expires = _now() + dt.timedelta(hours=LINK_H)
            session.add(
                LinkRow(digest=digest(secret), user=user, role=role.value, expires_at=expires)
            )
        return secret

    def link_is_for(self, secret: str) -> tuple[str | None, Role]:
        """(user, or None for a new one; role). Raises NotFound for a used, old or unknown link."""
        with self._database.read() as session:
            row = _link(session, secret)
            return row.user, Role(row.role)

    def use_link(self, secret: str, *, name: str = "", password: str = "") -> str:
        """The secret of a session; makes the account when the link is for a new one. Raises
        NotFound as `link_is_for`, Conflict as `add`."""
        with self._database.read() as session:
            needed = _link(session, secret).user is None
        hashed = hash_password(password) if needed else None
        with self._database.write() as session:
            row = _link(session, secret)
            user = row.user
            if user is None:
                user = _add(session, name, Role(row.role), hashed).name
                self._note(session, user, user, f"account made: {row.role}")
            row.used = True
            session.add(row)
            self._note(session, user, user, "came in by a one-time link")
            return self._open(session, user)

    # -- tokens -----------------------------------------------------------------------------------

    def new_token(
        self, user: str, label: str, role: Role, *, days: int = 90, actor: str
    ) -> tuple[Token, str]:
        """A token and its secret, which is not kept. Raises Conflict for more than the user's own
        role or too long a life."""
        if not 1 <= days <= MAX_TOKEN_DAYS:
            raise Conflict(f"a token lives 1 to {MAX_TOKEN_DAYS} days")
        if not label.strip():
            raise Conflict("a token needs a label that says what uses it")
        secret = new_secret("almanac")
        now = _now()
        with self._database.write() as session:
            owner = _get(session, user)
            if not Role(owner.role).covers(role):
                raise Conflict(f"{user} is {owner.role}; a token cannot do more than its owner")
            row = TokenRow(
                digest=digest(secret),
                label=label.strip()[:80],
                user=user,
                role=role.value,
                created_at=now,
                expires_at=now + dt.timedelta(days=days),
            )
            session.add(row)
            session.flush()
            self._note(
                session, user, actor, f"API token {row.id} ({row.label}, {role}, {days} days)"
            )
            return _token(row), secret

    def tokens(self, user: str | None = None) -> list[Token]:
        statement = select(TokenRow).order_by(col(TokenRow.id))
        if user is not None:
            statement = statement.where(TokenRow.user == user)
        with self._database.read() as session:
            return [_token(row) for row in session.exec(statement)]

    def revoke(self, token_id: int, *, actor: str, only_of: str | None = None) -> None:
        """Raises NotFound; also for another's token when `only_of` names somebody."""
        with self._database.write() as session:
            row = session.get(TokenRow, token_id) if 0 < token_id < 2**31 else None
            if row is None or (only_of is not None and row.user != only_of):
                raise NotFound(f"there is no token {token_id}")
            row.revoked = True
            session.add(row)
            self._note(session, row.user, actor, f"API token {token_id} revoked")

    def bearer(self, secret: str) -> Who | None:
        """Whose token this is, with the lesser of both roles; None for an old or revoked one."""
        with self._database.read() as session:
            row = session.exec(select(TokenRow).where(TokenRow.digest == digest(secret))).first()
            if row is None or row.revoked or row.expires_at <= _now():
                return None
            user = session.get(UserRow, row.user)
        if user is None or user.disabled:
            return None
        role = min(Role(row.role), Role(user.role), key=lambda one: one.rank)
        return Who(name=user.name, role=role, via="api")

    def _note(self, session: Session, name: str, actor: str, told: str) -> None:
        record_event(session, "user", name, actor=actor, reason=told, now=self._clock.now())

    def _open(self, session: Session, user: str) -> str:
        now = _now()
        for old in session.exec(select(LoginRow).where(col(LoginRow.expires_at) <= now)).all():
            session.delete(old)
        secret = new_secret("session")
        session.add(
            LoginRow(
                digest=digest(secret), user=user, created_at=now, expires_at=now + self._session
            )
        )
        return secret


def _add(session: Session, name: str, role: Role, password: str | None) -> UserRow:
    if not _NAME.fullmatch(name):
        raise Conflict(
            "a name is 1 to 40 small letters, digits, dots or dashes, and begins with a letter"
        )
    if session.get(UserRow, name) is not None:
        raise Conflict(f"there is an account {name} already")
    row = UserRow(name=name, role=role.value, password=password, created_at=_now())
    session.add(row)
    session.flush()
    return row


def _get(session: Session, name: str) -> UserRow:
    row = session.get(UserRow, name)
    if row is None:
        raise NotFound(f"there is no account {name!r}; `almanac account list` shows them")
    return row


def _link(session: Session, secret: str) -> LinkRow:
    row = session.get(LinkRow, digest(secret))
    if row is None or row.used or row.expires_at <= _now():
        raise NotFound(
            "this link was used, is too old, or never was; `almanac account link` makes another"
        )
    return row


def _refuse_last_admin(session: Session, name: str) -> None:
    others = session.exec(
        select(func.count())
        .select_from(UserRow)
        .where(UserRow.role == Role.ADMIN, col(UserRow.disabled).is_(False), UserRow.name != name)
    ).one()
    if not others:
        raise Conflict(f"{name} is the last admin; make another one first")


def _user(row: UserRow) -> User:
    return User(
        name=row.name, role=Role(row.role), disabled=row.disabled, created_at=row.created_at
    )


def _token(row: TokenRow) -> Token:
    return Token(
        id=row.id or 0,
        label=row.label,
        user=row.user,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked=row.revoked,
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
