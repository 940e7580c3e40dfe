"""One request reads one state of the database over one connection, and sees what it wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from daemon.services import Services
from tests.review_support import add_people, app_of, client_of, digest_of, opened


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with opened(tmp_path, 4) as services:
        yield services


@pytest.fixture
def begun(services: Services) -> Iterator[list[str]]:
    """`read` or `write` for each transaction that is begun."""
    found: list[str] = []

    def note(connection: Any) -> None:
        writer = connection.get_execution_options().get("writer", False)
        found.append("write" if writer else "read")

    event.listen(services.database._engine, "begin", note)
    yield found
    event.remove(services.database._engine, "begin", note)


def test_a_page_opens_one_transaction(services: Services, begun: list[str]) -> None:
    add_people(services)
    client = client_of(app_of(services), "reviewer")
    for path in ("/", "/review", "/review?q=a", "/review/2", "/changes", "/versions", "/account"):
        begun.clear()
        assert client.get(path).status_code == 200
        assert begun == ["read"], path


def test_a_decision_leads_on_by_what_it_has_written(services: Services, begun: list[str]) -> None:
    add_people(services)
    client = client_of(app_of(services), "reviewer")
    begun.clear()
    answer = client.post("/review/4/approve", data={"digest": digest_of(services, 4), "query": ""})
    assert answer.headers["location"] == "/review/1?did=approved%3A4"
    answer = client.post("/review/1/approve", data={"digest": "0" * 64, "query": ""})
    assert answer.status_code == 409
    assert "write" in begun


def test_shared_reads_are_one_state_until_somebody_writes(services: Services) -> None:
    with services.database.sharing() as shared:
        with services.database.read() as one:
            pass
        with services.database.read() as two, services.database.read() as nested:
            assert one is two
            assert nested is not two  # in use: whoever asks meanwhile gets one of their own
        services.review.reject(1, actor="ann", reason="wrong")
        assert services.review.counts() == {"in_review": 3, "rejected": 1}
        shared.end()
        with services.database.read() as three, services.database.read() as four:
            assert three is not four
    assert services.review.counts() == {"in_review": 3, "rejected": 1}


def test_a_failure_spoils_no_read_after_it(services: Services) -> None:
    with services.database.sharing():
        with pytest.raises(ZeroDivisionError), services.database.read() as one:
            raise ZeroDivisionError
        with services.database.read() as two:
            assert two is not one
        assert services.review.counts() == {"in_review": 4}
