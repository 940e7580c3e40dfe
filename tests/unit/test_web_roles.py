"""Every route with too low a role, without any, and from another site; hosts, headers, bodies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from daemon.accounts import Role
from daemon.services import Services
from tests.review_support import SAME_ORIGIN, add_people, app_of, client_of, digest_of, opened

V, R, O, A = Role.VIEWER, Role.REVIEWER, Role.OPERATOR, Role.ADMIN
NEEDED: dict[str, Role | None] = {
    "GET /healthz": None,
    "GET /status": None,
    "POST /csp-report": None,
    "GET /login": None,
    "POST /login": None,
    "POST /logout": None,
    "GET /enter/{secret}": None,
    "POST /enter/{secret}": None,
    "GET /live": V,
    "GET /": V,
    "GET /overview/live": V,
    "GET /review": V,
    "POST /review/views": R,
    "GET /review/next": V,
    "GET /review/{change_id:int}": V,
    "GET /review/{change_id:int}/edit": R,
    "POST /review/{change_id:int}/edit": R,
    "POST /review/{change_id:int}/approve": R,
    "POST /review/{change_id:int}/reject": R,
    "POST /review/{change_id:int}/skip": R,
    "POST /review/{change_id:int}/claim": R,
    "POST /review/{change_id:int}/undo": R,
    "POST /review/{change_id:int}/second-look": R,
    "GET /review/bulk": R,
    "POST /review/bulk": R,
    "GET /changes": V,
    "GET /changes/dismissed": V,
    "POST /changes/dismissed/{dismissal_id:int}/reopen": R,
    "POST /changes/{change_id:int}/reopen": R,
    "GET /releases": V,
    "POST /releases/freeze": O,
    "GET /releases/{release_id:int}": V,
    "GET /releases/{release_id:int}/live": V,
    "GET /releases/{release_id:int}/report": V,
    "POST /releases/{release_id:int}/discard": O,
    "GET /versions": V,
    "GET /versions/compare": V,
    "GET /versions/{name}": V,
    "POST /versions/{name}/promote": O,
    "POST /versions/rollback": O,
    "POST /versions/freeze": O,
    "POST /versions/unfreeze": O,
    "GET /playground": V,
    "POST /playground": V,
    "GET /audit": V,
    "GET /audit/export.jsonl": V,
    "GET /settings": V,
    "GET /settings/dry-run": O,
    "GET /account": V,
    "POST /account/tokens": V,
    "POST /account/tokens/{token_id}/revoke": V,
    "POST /account/users": A,
    "POST /account/users/{name}": A,
    "GET /api/v1/me": V,
    "GET /api/v1/status": V,
    "GET /api/v1/audit": V,
    "GET /api/v1/audit/chain": V,
    "GET /api/v1/agreement": V,
    "GET /api/v1/policy/trial": O,
    "GET /api/v1/changes": V,
    "GET /api/v1/changes/facets": V,
    "POST /api/v1/changes/approve": R,
    "GET /api/v1/changes/{change_id}": V,
    "POST /api/v1/changes/{change_id}/claim": R,
    "POST /api/v1/changes/{change_id}/approve": R,
    "POST /api/v1/changes/{change_id}/edit": R,
    "POST /api/v1/changes/{change_id}/reject": R,
    "POST /api/v1/changes/{change_id}/skip": R,
    "POST /api/v1/changes/{change_id}/undo": R,
    "POST /api/v1/changes/{change_id}/reopen": R,
    "POST /api/v1/changes/{change_id}/second-look": R,
    "GET /api/v1/second-looks": V,
    "GET /api/v1/dismissed": V,
    "POST /api/v1/dismissed/{dismissal_id}/reopen": R,
    "GET /api/v1/releases": V,
    "POST /api/v1/releases": O,
    "GET /api/v1/releases/{release_id}": V,
    "POST /api/v1/releases/{release_id}/discard": O,
    "GET /api/v1/versions": V,
    "GET /api/v1/versions/{name}": V,
    "POST /api/v1/versions/{name}/promote": O,
    "POST /api/v1/rollback": O,
    "POST /api/v1/freeze": O,
    "POST /api/v1/unfreeze": O,
    "GET /api/v1/history": V,
    "GET /api/v1/tokens": V,
    "POST /api/v1/tokens": V,
    "DELETE /api/v1/tokens/{token_id}": V,
    "GET /api/v1/users": A,
    "POST /api/v1/users": A,
    "PATCH /api/v1/users/{name}": A,
}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with opened(tmp_path_factory.mktemp("home"), 3) as services:
        add_people(services)
        yield services


@pytest.fixture(scope="module")
def app(services: Services) -> Any:
    return app_of(services)


@pytest.fixture(scope="module")
def clients(app: Any) -> dict[Role | None, TestClient]:
    return {role: client_of(app, role.value if role else None) for role in (None, *Role)}


def routes(app: Any) -> set[str]:
    """`METHOD /path` of every route, the API's among them."""
    found: set[str] = set()

    def walk(some: Any, prefix: str) -> None:
        for route in some:
            if isinstance(route, APIRoute):
                found.update(f"{method} {prefix}{route.path}" for method in route.methods)
            elif hasattr(route, "routes") and hasattr(route, "path"):
                walk(route.routes or [], prefix + route.path)
            elif hasattr(route, "original_router"):
                walk(route.original_router.routes, prefix)

    walk(app.routes, "")
    return found


def address(route: str) -> tuple[str, str]:
    method, path = route.split(" ")
    for name, value in (
        ("{change_id:int}", "1"),
        ("{dismissal_id:int}", "1"),
        ("{release_id:int}", "1"),
        ("{change_id}", "1"),
        ("{dismissal_id}", "1"),
        ("{release_id}", "1"),
        ("{token_id}", "1"),
        ("{name}", "viewer"),
        ("{secret}", "none"),
    ):
        path = path.replace(name, value)
    return method, path


def test_the_table_names_every_route(app: Any) -> None:
    assert routes(app) == set(NEEDED)


@pytest.mark.parametrize("route", [r for r, role in NEEDED.items() if role is not None])
def test_too_low_a_role_is_refused(
    route: str, clients: dict[Role | None, TestClient], services: Services
) -> None:
    method, path = address(route)
    needed = NEEDED[route]
    head = services.audit.head()
    answer = clients[None].request(method, path)
    if method == "GET" and not path.startswith("/api"):
        assert (answer.status_code, answer.headers["location"][:12]) == (303, "/login?next=")
    else:
        assert answer.status_code == 401
    for role in Role:
        if needed is not None and not role.covers(needed):
            answer = clients[role].request(method, path)
            assert answer.status_code == 403, (route, role)
            assert "needs the role" in answer.text
    assert services.audit.head() == head


@pytest.mark.parametrize("route", [r for r, role in NEEDED.items() if r.startswith("GET") and role])
def test_the_right_role_gets_in(route: str, clients: dict[Role | None, TestClient]) -> None:
    method, path = address(route)
    if path == "/live":
        return  # it goes on for ever; the browser tests listen to it
    answer = clients[NEEDED[route]].request(method, path.replace("viewer", "base"))
    assert answer.status_code in (200, 303, 404), answer.text[:400]


@pytest.mark.parametrize("route", [r for r in NEEDED if not r.startswith("GET")])
def test_another_site_is_refused(route: str, app: Any, clients: dict) -> None:
    if route == "POST /csp-report":
        return
    method, path = address(route)
    client = clients[Role.ADMIN]
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert client.request(method, path, headers=headers).status_code == 403
    bare = TestClient(app, cookies=client.cookies)
    assert bare.request(method, path).status_code == 403  # a cookie, and no word of where from
    assert bare.request(method, path, headers={"origin": "https://evil.example"}).status_code == 403


def test_a_token_needs_no_origin_and_a_cookie_does_not_help_it(
    app: Any, services: Services
) -> None:
    _, secret = services.accounts.new_token("viewer", "t", Role.VIEWER, actor="test")
    client = TestClient(app, headers={"authorization": f"Bearer {secret}"})
    assert client.get("/api/v1/me").json() == {"name": "viewer", "role": "viewer", "via": "api"}
    assert client.post("/api/v1/changes/1/undo").status_code == 403
    admin = client_of(app, "admin")
    wrong = {"authorization": "Bearer almanac_wrong"}
    assert admin.get("/api/v1/me", headers=wrong).status_code == 401


def test_unknown_hosts_and_large_bodies_are_refused(app: Any) -> None:
    client = TestClient(app, headers=SAME_ORIGIN)
    assert client.get("/login", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/login", headers={"host": "localhost:8081"}).status_code == 200
    assert client.post("/login", content=b"x" * 1_000_001).status_code == 413
    endless = client.post("/login", content=iter([b"x" * 10]))
    assert endless.status_code == 411


def test_every_answer_carries_the_policy(app: Any) -> None:
    client = TestClient(app)
    for path in ("/login", "/nowhere", "/static/app.js", "/api/v1/me", "/healthz"):
        headers = client.get(path).headers
        assert "script-src 'self';" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/login").headers["cache-control"] == "no-store"


def test_a_login_leads_nowhere_else(app: Any) -> None:
    client = client_of(app, "viewer")
    for bad in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:1"):
        assert client.get("/login", params={"next": bad}).headers["location"] == "/"
    assert client.get("/login", params={"next": "/audit"}).headers["location"] == "/audit"


def test_a_key_acts_once(services: Services, app: Any) -> None:
    client = client_of(app, "reviewer")
    body = {"digest": digest_of(services, 2)}
    key = {"idempotency-key": "k1"}
    first = client.post("/api/v1/changes/2/approve", json=body, headers=key)
    again = client.post("/api/v1/changes/2/approve", json=body, headers=key)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json() == {"id": 2, "done": "approved"}
    assert again.headers["idempotency-replayed"] == "true"
    other = client.post("/api/v1/changes/3/approve", json=body, headers=key)
    assert other.status_code == 409 and other.json()["code"] == "Conflict"
    without = client.post("/api/v1/changes/2/approve", json=body)
    assert without.status_code == 409
