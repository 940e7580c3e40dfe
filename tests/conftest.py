"""What every test may rely on: one thread, no network of other people, markers that mean something.

Owns process-wide settings and the `gpu` marker. Fixtures of one area live beside its tests.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.databases import BACKENDS, PostgresServer, url_for

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["LANGSMITH_TRACING"] = "false"

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of the test's own, once on SQLite and once on PostgreSQL."""
    return url_for(request.param, tmp_path)


def pytest_sessionfinish() -> None:
    PostgresServer.close_shared()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
