"""The gateway's bench in small: two versions, a crowd, a few swaps, the rollback command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.bench import gateway as bench
from daemon.bench.rows import Row
from daemon.bench.serving_home import Home, build
from daemon.bench.serving_load import gateway


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    built = build(tmp_path_factory.mktemp("bench"), bench.BASE, 2)
    yield built
    built.close()


@pytest.fixture(scope="module")
def url(home: Home) -> Iterator[str]:
    with gateway(home) as at:
        yield at


def values(rows: list[Row]) -> dict[str, float | None]:
    return {row.what: row.value for row in rows}


def test_swaps_under_load_fail_nothing_and_mix_nothing(home: Home, url: str) -> None:
    found = values(bench.loaded(home, url, 3.0))
    assert found["failed requests under swaps"] == 0
    assert found["answers that mix versions"] == 0
    assert found["p95 latency during a swap / without"] is not None


def test_the_rollback_command_is_followed_by_an_answer_of_the_version_before(
    home: Home, url: str
) -> None:
    bench.serve(home, url, 1)
    bench.serve(home, url, 2)
    assert 0 < bench.timed_rollback(home, url, "v1") < 60
    assert home.registry.current()[1] == home.digests[0]


def test_what_http_adds_is_measured_in_pairs(home: Home) -> None:
    (row,) = bench.overhead(home, 5)
    assert row.value is not None
    assert "5 pairs" in row.detail
