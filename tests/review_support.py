"""Shared by the tests of review and web: services with real proposals, a signed-in client."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from daemon.accounts import Role
from daemon.bench.proposals import fill, samples
from daemon.config import Settings
from daemon.services import Services
from daemon.web.app import create_app

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
PASSWORD = "a long password"
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


def opened(home: Path, waiting: int, **review: Any) -> Services:
    """Services with that many clean proposals in review, numbered from 1."""
    settings = Settings(home=home, review=Settings().review.model_copy(update=review))
    services = Services.open(settings)
    made = samples(waiting, NOW)
    assert len(made) == waiting
    fill(services.database, made, waiting=waiting, changes=waiting, now=NOW)
    return services


def add_people(services: Services) -> None:
    """One account of each role, named like it."""
    for role in Role:
        services.accounts.add(role.value, role, password=PASSWORD, actor="test")


def app_of(services: Services) -> Any:
    async def status() -> dict[str, Any]:
        return services.status()

    return create_app(services, status)


def client_of(app: Any, user: str | None) -> TestClient:
    """A browser's client, signed in as that user."""
    client = TestClient(app, headers=SAME_ORIGIN, follow_redirects=False)
    if user is not None:
        answer = client.post("/login", data={"name": user, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
    return client


def digest_of(services: Services, change: int) -> str:
    digest = services.review.show(change).item.digest
    assert digest is not None
    return digest
