"""Messages to people are told once a channel and parked when nobody takes them; dead letters."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
from pathlib import Path

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from sqlmodel import select
from werkzeug import Request, Response

from daemon.errors import Conflict, NotFound
from daemon.operating import NotifySettings
from daemon.services import Services
from daemon.store.rows import ChangeRow, DirtyRow, NotificationRow
from daemon.store.states import ChangeState
from daemon.upkeep.degraded import Degraded, Mode, Trouble
from daemon.upkeep.disk import is_full, says_full
from daemon.upkeep.messages import ATTEMPTS, Messages
from tests.daemon_support import approved, change, settings_at
from tests.databases import url_for


@pytest.fixture
def services(tmp_path: Path):
    with Services.open(settings_at(tmp_path, url_for("sqlite", tmp_path))) as opened:
        yield opened


def trouble(mode: Mode = Mode.DISK, *, minutes: float = 5.0) -> Trouble:
    since = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
    return Trouble(mode=mode, reason="2 % are free", since=since)


def messages(services: Services, server: HTTPServer) -> Messages:
    url = SecretStr(server.url_for("/hook"))
    settings = NotifySettings(webhook_url=url, webhook_secret=SecretStr("key"))
    return Messages(services.database, services.clock, settings)


def test_a_trouble_is_told_once_and_signed(services: Services, httpserver: HTTPServer) -> None:
    told: list[str] = []

    def hook(request: Request) -> Response:
        digest = hmac.new(b"key", request.data, hashlib.sha256).hexdigest()
        assert request.headers["X-Almanac-Signature"] == f"sha256={digest}"
        told.append(request.get_json()["subject"])
        return Response(status=204)

    httpserver.expect_request("/hook", method="POST").respond_with_handler(hook)
    outbox, one = messages(services, httpserver), trouble()
    assert asyncio.run(outbox.round([one])) == 1
    assert asyncio.run(outbox.round([one])) == 0
    assert told == ["Almanac is degraded (disk): 2 % are free"]
    assert asyncio.run(outbox.round([trouble(Mode.DATABASE, minutes=0)])) == 0, "it may pass"


def test_what_nobody_takes_is_parked_and_can_be_tried_again(
    services: Services, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/hook").respond_with_data("no", status=500)
    outbox, one = messages(services, httpserver), trouble()
    for _ in range(ATTEMPTS):
        assert asyncio.run(outbox.round([one])) == 0
        with services.database.write() as session:
            row = session.exec(select(NotificationRow)).one()
            assert "500" in row.why and row.not_before is not None
            row.not_before = None
            session.add(row)
    (letter,) = services.dead.list()
    assert (letter.kind, letter.failures) == ("message", ATTEMPTS)
    services.dead.retry("message", letter.id, actor="ann")
    assert services.dead.list() == []


def test_dead_letters_are_listed_and_tried_again(services: Services) -> None:
    (number,) = asyncio.run(approved(services, [change(1)]))
    with services.database.write() as session:
        row = session.get(ChangeRow, number)
        assert row is not None
        row.state, row.failures, row.reason = ChangeState.FAILED, 3, "no evidence"
        dirty = session.get(DirtyRow, "Q1") or DirtyRow(
            item="Q1", revision=9, reason="due", marked_at=services.clock.now()
        )
        dirty.parked, dirty.attempts, dirty.why = True, 30, "no answer"
        session.add(row)
        session.add(dirty)
    assert [(one.kind, one.reason) for one in services.dead.list()] == [
        ("change", "no evidence"),
        ("item", "no answer"),
    ]
    assert asyncio.run(services.ledger.dirty(10, services.clock.now())) == []
    services.dead.retry("change", str(number), actor="ann", reason="the page is back")
    services.dead.retry("item", "Q1", actor="ann")
    assert services.dead.list() == []
    assert asyncio.run(services.ledger.dirty(10, services.clock.now())) == ["Q1"]
    for kind, id in (("change", str(number)), ("item", "Q1"), ("tea", "1"), ("change", "x")):
        with pytest.raises(NotFound):
            services.dead.retry(kind, id, actor="ann")
    with pytest.raises(Conflict, match="discard"):
        services.dead.retry("release", "1", actor="ann")


def test_modes_hold_since_they_began_and_a_full_disk_stops_the_intake() -> None:
    degraded = Degraded()
    assert degraded.takes_in
    assert degraded.report(Mode.DISK, "3 % are free")
    assert not degraded.report(Mode.DISK, "2 % are free"), "that is no news"
    (one,) = degraded.list()
    assert one.reason == "2 % are free" and one.data()["cure"]
    assert not degraded.takes_in
    assert degraded.report(Mode.DISK, None) and degraded.takes_in


def test_a_full_disk_is_told_from_other_failures() -> None:
    assert is_full(OSError(28, "No space left on device"))
    wrapped = RuntimeError("the step failed")
    wrapped.__cause__ = OSError(28, "No space left on device")
    assert is_full(wrapped)
    assert says_full("sqlite3.OperationalError: database or disk is full")
    assert not is_full(ValueError("the draft is wrong")) and not says_full("killed")
