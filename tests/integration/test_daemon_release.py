"""A release through real jobs: trained, examined, judged, in child processes that may be cut."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.app import Almanac
from daemon.config import Settings, load
from daemon.errors import NotPromotable
from daemon.jobs.supervisor import last_words
from daemon.store.states import ChangeState, ReleaseState
from tests.daemon_support import approved, world_changes

BASE = Path(__file__).parents[2] / "trainer" / "embedded" / "weights"
NOWHERE = "http://127.0.0.1:9"

pytestmark = pytest.mark.skipif(
    not (BASE / "config.json").is_file(), reason="needs the embedded base model"
)


def settings_in(home: Path, recipe: str) -> Settings:
    urls = ("api_url", "stream_url", "sparql_url", "wikipedia_url")
    flags = [f"wikidata.{name}={NOWHERE}" for name in urls]
    flags += [f"home={home}", f"model.recipe={recipe}", "release.size=2", "gate.policy=demo"]
    return load(flags=flags).settings


async def until_cut(settings: Settings) -> None:
    """Freeze and start the training, see it end, and stop before anybody takes its result."""
    async with Almanac.open(settings) as almanac:
        await approved(almanac.services, world_changes(2))
        for name in ("release", "train"):
            assert await almanac.controllers[name].reconcile() == 1
        while almanac.jobs.running():
            await almanac.jobs.wait_any(120.0)
        (release,) = almanac.services.releases.list()
        assert release.state is ReleaseState.TRAINING


async def to_the_end(settings: Settings) -> None:
    async with Almanac.open(settings) as almanac:
        await almanac.run_until_idle()
        services = almanac.services
        (release,) = services.releases.list()
        folder = settings.job_folder
        logs = {job.name: last_words(job) for job in folder.iterdir()}
        assert release.state is ReleaseState.FAILED, (release.reason, logs)
        assert sorted(name.split("-")[0] for name in logs) == ["evaluate", "train"]
        detail = services.releases.show(release.id)
        assert detail.verdict == "fail" and detail.gate is not None
        failed = {c["name"] for c in detail.gate["criteria"] if c["outcome"] == "fail"}
        assert "improvement" in failed
        assert detail.report_path is not None and "<html" in Path(detail.report_path).read_text()
        assert services.registry.current() == (0, None)
        with pytest.raises(NotPromotable, match="said fail"):
            services.registry.promote("production", release.adapter, actor="me", reason="r")
        version = services.registry.resolve("1")
        assert version.digest == release.adapter and version.verdict == "fail"
        services.releases.discard(release.id, actor="me", reason="nothing was trained")
        assert services.review.counts() == {ChangeState.APPROVED: 2}


def test_without_training_the_gate_fails_and_nothing_is_promoted(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "none")
    asyncio.run(until_cut(settings))
    asyncio.run(to_the_end(settings))
