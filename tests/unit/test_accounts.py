"""Accounts: roles, sessions, one-time links, tokens, and slowing down whoever guesses."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from daemon.accounts import Role, throttle
from daemon.accounts.passwords import hash_password, is_password
from daemon.config import Settings
from daemon.errors import ConfigError, Conflict, NotFound, NotSignedIn, Throttled
from daemon.sections import WebSettings
from daemon.services import Services
from daemon.store.account_rows import LinkRow, LoginRow, TokenRow
from daemon.web.security import check_binding
from tests.review_support import PASSWORD, SAME_ORIGIN, app_of


@pytest.fixture
def services(tmp_path: Path):
    with Services.open(Settings(home=tmp_path)) as services:
        services.accounts.add("ann", Role.ADMIN, password=PASSWORD, actor="test")
        yield services


def test_passwords_are_hashed_and_checked() -> None:
    stored = hash_password(PASSWORD)
    assert stored.startswith("$argon2id$") and PASSWORD not in stored
    assert is_password(PASSWORD, stored)
    assert not is_password("another one", stored)
    assert not is_password(PASSWORD, None)
    with pytest.raises(Conflict, match="10 to 200"):
        hash_password("short")


def test_a_session_is_stored_as_a_digest_and_ends(services: Services) -> None:
    secret = services.accounts.log_in("ann", PASSWORD, address="::1")
    who = services.accounts.who(secret)
    assert who and (who.name, who.role, who.via) == ("ann", Role.ADMIN, "web")
    with services.database.write() as session:
        row = session.exec(select(LoginRow)).one()
        assert secret not in row.digest
        row.expires_at = dt.datetime.now(dt.UTC)
        session.add(row)
    assert services.accounts.who(secret) is None
    again = services.accounts.log_in("ann", PASSWORD, address="::1")
    services.accounts.log_out(again)
    assert services.accounts.who(again) is None


def test_guessing_is_slowed_down_by_name_and_by_address(services: Services) -> None:
    for _ in range(throttle.FREE):
        with pytest.raises(NotSignedIn):
            services.accounts.log_in("ann", "wrong password", address="1.2.3.4")
    with pytest.raises(Throttled, match="try again in"):
        services.accounts.log_in("ann", PASSWORD, address="5.6.7.8")
    with pytest.raises(Throttled):
        services.accounts.log_in("somebody", PASSWORD, address="1.2.3.4")
    waits = [throttle.wait_s(n) for n in range(30)]
    assert waits == sorted(waits) and waits[4] == 0 and waits[-1] == 900


def test_a_link_works_once(services: Services) -> None:
    secret = services.accounts.link(role=Role.REVIEWER)
    assert services.accounts.link_is_for(secret) == (None, Role.REVIEWER)
    with pytest.raises(Conflict, match="10 to 200"):
        services.accounts.use_link(secret, name="bob", password="short")
    session = services.accounts.use_link(secret, name="bob", password=PASSWORD)
    who = services.accounts.who(session)
    assert who and (who.name, who.role) == ("bob", Role.REVIEWER)
    with pytest.raises(NotFound, match="was used"):
        services.accounts.use_link(secret, name="eve", password=PASSWORD)
    old = services.accounts.link(user="bob")
    with services.database.write() as session_:
        for row in session_.exec(select(LinkRow)):
            row.expires_at = dt.datetime.now(dt.UTC)
            session_.add(row)
    with pytest.raises(NotFound):
        services.accounts.use_link(old)


def test_a_token_does_no_more_than_its_owner(services: Services) -> None:
    services.accounts.add("bob", Role.REVIEWER, password=PASSWORD, actor="ann")
    with pytest.raises(Conflict, match="more than its owner"):
        services.accounts.new_token("bob", "x", Role.OPERATOR, actor="bob")
    token, secret = services.accounts.new_token("bob", "x", Role.REVIEWER, actor="bob")
    who = services.accounts.bearer(secret)
    assert who and (who.name, who.role, who.via) == ("bob", Role.REVIEWER, "api")
    services.accounts.change("bob", role=Role.VIEWER, actor="ann")
    lesser = services.accounts.bearer(secret)
    assert lesser and lesser.role is Role.VIEWER
    with pytest.raises(NotFound):
        services.accounts.revoke(token.id, actor="eve", only_of="eve")
    services.accounts.revoke(token.id, actor="bob", only_of="bob")
    assert services.accounts.bearer(secret) is None
    with services.database.read() as session:
        assert secret not in [row.digest for row in session.exec(select(TokenRow))]


def test_somebody_is_always_left_to_administer(services: Services) -> None:
    with pytest.raises(Conflict, match="last admin"):
        services.accounts.change("ann", role=Role.VIEWER, actor="ann")
    with pytest.raises(Conflict, match="last admin"):
        services.accounts.change("ann", disabled=True, actor="ann")
    services.accounts.add("eve", Role.ADMIN, password=PASSWORD, actor="ann")
    secret = services.accounts.log_in("ann", PASSWORD, address="::1")
    services.accounts.change("ann", disabled=True, actor="eve")
    assert services.accounts.who(secret) is None
    with pytest.raises(NotSignedIn):
        services.accounts.log_in("ann", PASSWORD, address="::1")


@pytest.mark.parametrize("name", ["", "Ann", "a b", "-a", "a" * 41, "ann\n", "<b>"])
def test_a_name_is_a_plain_word(services: Services, name: str) -> None:
    with pytest.raises(Conflict, match="a name is"):
        services.accounts.add(name, Role.VIEWER, actor="ann")


def test_nothing_listens_to_others_without_accounts_and_tls() -> None:
    here = Settings(web=WebSettings(host="127.0.0.1"))
    out = Settings(web=WebSettings(host="0.0.0.0"))
    safe = Settings(web=WebSettings(host="0.0.0.0", behind_tls=True))
    check_binding(here, accounts=False)
    with pytest.raises(ConfigError, match="there is no account"):
        check_binding(safe, accounts=False)
    with pytest.raises(ConfigError, match="in the clear"):
        check_binding(out, accounts=True)
    check_binding(safe, accounts=True)


@pytest.mark.parametrize("behind_tls", [True, False])
def test_who_guesses_behind_a_proxy_slows_down_nobody_else(
    tmp_path: Path, behind_tls: bool
) -> None:
    with Services.open(Settings(home=tmp_path, web=WebSettings(behind_tls=behind_tls))) as services:
        services.accounts.add("ann", Role.ADMIN, password=PASSWORD, actor="test")
        client = TestClient(app_of(services), headers=SAME_ORIGIN, follow_redirects=False)

        def log_in(name: str, password: str, *forwarded: str) -> int:
            headers = [("x-forwarded-for", line) for line in forwarded]
            data = {"name": name, "password": password}
            return client.post("/login", data=data, headers=headers).status_code

        for number in range(throttle.FREE):  # what is before the last address is the client's own
            assert log_in(f"no{number}", "wrong", f"10.0.0.{number}, 203.0.113.9") == 401
        assert log_in("no", "wrong", "198.51.100.7", "203.0.113.9") == 429
        there = log_in("ann", PASSWORD, "203.0.113.9, 198.51.100.7")
        assert there == (303 if behind_tls else 429), "headers count behind a proxy alone"
