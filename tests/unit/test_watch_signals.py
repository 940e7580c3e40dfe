"""Editors, revert risk, the shared allowance, and the legacy view of a fact."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import httpx
import pytest

from agents.wikidata.editors import Profile, is_confirmed, vouched
from agents.wikidata.entity import parse_entity
from agents.wikidata.history import Revision
from agents.wikidata.legacy import Told, holders_on, legacy_groups
from agents.wikidata.lift_wing import LiftWing, read_risk
from agents.wikidata.limiter import Limiter, MemoryCoolDown
from agents.wikidata.quota import FileQuota
from agents.wikidata.view import value_key
from tests.fakes_wiki import claim

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def revision(number: int, user: str, **how: object) -> Revision:
    return Revision(id=number, time=NOW, user=user, **how)  # type: ignore[arg-type]


def profile(edits: int, days: int, *groups: str) -> Profile:
    since = NOW - dt.timedelta(days=days)
    return Profile(name="X", edit_count=edits, registered=since, groups=frozenset(groups))


@pytest.mark.parametrize(
    ("known", "confirmed"),
    [
        (profile(50, 30), True),
        (profile(49, 900), False),
        (profile(5000, 29), False),
        (profile(1, 1, "autopatrolled"), True),
        (Profile(name="X", edit_count=60), True),
        (None, False),
    ],
)
def test_who_is_confirmed(known: Profile | None, confirmed: bool) -> None:
    assert is_confirmed(known, NOW) is confirmed


def test_somebody_confirmed_who_edits_later_stands_for_the_edit_unless_he_undoes() -> None:
    old = {"Old hand": profile(900, 900)}
    new = [revision(5, "NewName")]
    assert not vouched(new, [], old)
    assert vouched(new, [revision(6, "Old hand")], old)
    assert not vouched(new, [revision(6, "Old hand", tags=("mw-rollback",))], old)
    assert vouched([revision(5, "SomeBot", bot=True)], [], {})


def test_a_risk_is_a_probability_or_unknown() -> None:
    assert read_risk({"output": {"probabilities": {"true": 0.91}}}) == 0.91
    for odd in ({}, {"output": None}, {"output": {"probabilities": {"true": 7}}}, [], None):
        assert read_risk(odd) is None

    def answer(request: httpx.Request) -> httpx.Response:
        if b'"rev_id":7' in request.content.replace(b" ", b""):
            return httpx.Response(200, json={"output": {"probabilities": {"true": 0.2}}})
        return httpx.Response(503, text="no healthy upstream")

    async def run() -> dict[int, float | None]:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        model = LiftWing("http://127.0.0.1/predict", user_agent="test", client=client)
        found = await model.risks([7, 8])
        await model.aclose()
        return found

    assert asyncio.run(run()) == {7: 0.2, 8: None}


def test_a_risk_model_that_asks_for_a_pause_gets_it_and_nothing_is_known() -> None:
    asked, cool = [], MemoryCoolDown()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, headers={"Retry-After": "3600"})

    async def run() -> dict[int, float | None]:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        limiter = Limiter(per_minute=None, at_once=1, cool_down=cool)
        model = LiftWing("http://127.0.0.1/p", user_agent="test", limiter=limiter, client=client)
        found = await model.risks([7, 8])
        await model.aclose()
        return found

    assert asyncio.run(run()) == {7: None, 8: None}
    assert len(asked) == 1
    until = asyncio.run(cool.until("127.0.0.1"))
    assert until is not None and until > dt.datetime.now(dt.UTC) + dt.timedelta(minutes=50)


def test_the_allowance_is_one_for_all_clients_of_a_folder(tmp_path: Path) -> None:
    def quota() -> FileQuota:
        return FileQuota(tmp_path, per_window=4, window_s=0.5, at_once=2)

    times: list[float] = []
    now, most = 0, 0

    async def one(mine: FileQuota) -> None:
        nonlocal now, most
        async with mine.turn("host:443"):
            times.append(asyncio.get_running_loop().time())
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1

    async def run() -> None:
        await asyncio.gather(*(one(quota()) for _ in range(10)))

    asyncio.run(run())
    assert most == 2
    times.sort()
    assert all(later - first >= 0.5 for first, later in zip(times, times[4:], strict=False))


def office(*claims: dict[str, object]) -> dict[str, object]:
    return {"id": "Q1", "claims": {"P6": list(claims)}}


def test_the_holder_on_a_day_by_dates() -> None:
    doc = parse_entity(
        office(
            claim("a", "P6", "Q10", start="2010-05-01", end="2016-07-13"),
            claim("b", "P6", "Q11", start="2016-07-13", end="2020"),
            claim("c", "P6", "Q12", start="2020-12"),
        )
    )
    group = doc.claims["P6"]

    def held(day: str) -> str | None:
        found = holders_on(group, dt.date.fromisoformat(day))
        return value_key(found[0]) if found else None

    assert held("2016-07-12") == "Q10"
    assert held("2016-07-13") == "Q11"
    assert held("2019-12-31") == "Q11"
    assert held("2020-06-01") == "Q11"  # nobody else can have
    assert held("2021-01-01") == "Q12"
    assert held("2009-01-01") is None


def test_without_dates_the_revision_of_the_day_tells() -> None:
    now = parse_entity(office(claim("a", "P6", "Q10"), claim("b", "P6", "Q11", rank="preferred")))
    then = parse_entity(office(claim("a", "P6", "Q10")))
    found = legacy_groups(now, then, dt.date(2021, 12, 1), ["P6"])
    assert found["P6"].told is Told.REVISION
    assert [s["id"] for s in found["P6"].group] == ["a"]
    assert legacy_groups(now, None, dt.date(2021, 12, 1), ["P6"]) == {}
