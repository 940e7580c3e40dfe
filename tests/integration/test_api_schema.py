"""The API against its own document: generated requests, by an admin, a viewer and nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from daemon.accounts import Role
from daemon.services import Services
from daemon.web.api.app import create_api
from tests.review_support import add_people, opened

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
OWN = ("/tokens",)
"""Where a viewer may write too: their own tokens."""


@pytest.mark.slow
def test_the_api_keeps_its_document(tmp_path: Path) -> None:
    """No 5xx, nothing that the document does not say, and nobody gets in without a key."""
    with opened(tmp_path, 6) as services:
        add_people(services)
        schema = schemathesis.openapi.from_asgi("/openapi.json", create_api(services))
        operations = [found.ok() for found in schema.get_all_operations()]
        assert len(operations) > 30
        for operation in operations:
            _ask(operation, services)


def _ask(operation: Any, services: Services) -> None:
    keys = {
        role: services.accounts.new_token(role.value, "t", role, actor="test")[1]
        for role in (Role.ADMIN, Role.VIEWER)
    }

    def call(case: Any, key: str) -> int:
        response = case.call(headers={"Authorization": f"Bearer {key}"})
        case.validate_response(response, checks=CHECKS)
        return response.status_code

    @given(case=operation.as_strategy())
    @settings(
        max_examples=3,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        assert call(case, "almanac_none") in (401, 422)
        if case.method.upper() != "GET" and not case.path.startswith(OWN):
            assert call(case, keys[Role.VIEWER]) in (403, 422)
        call(case, keys[Role.ADMIN])

    ask()
