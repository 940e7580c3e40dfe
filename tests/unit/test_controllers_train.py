"""What a release's training job is made of: units, replay, parent, by the lineage's policy."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.bench.edit_sets import world_units
from daemon.bench.releases import retraction_of
from daemon.config import Settings
from daemon.controllers.train import TrainController, replayed, starts_from_base
from daemon.jobs.supervisor import Job
from daemon.sections import ReleaseSettings
from daemon.store.rows import ReleaseRow
from knowledge.edits import EditKind, EditUnit, live_units
from knowledge.world import Split
from tests.daemon_support import NOW, adapter_folder
from trainer.job import JobSpec, load_job

UNITS = world_units(Split.TUNE)


class _Registry:
    """A lineage of releases, each given by its units; the last one is in production."""

    def __init__(self, taught: list[list[EditUnit]], new: list[EditUnit], parent: Path) -> None:
        self._taught, self._new, self._parent = taught, new, parent

    def units_of_release(self, _: int) -> list[EditUnit]:
        return self._new

    def live_units(self, _: str | None) -> list[EditUnit]:
        return live_units([unit for units in self._taught for unit in units])

    def lineage(self, _: str | None) -> list[str]:
        return [f"{i}" for i in range(len(self._taught))]

    def verify(self, _: str) -> Path:
        return self._parent


def planned(
    folder: Path, taught: list[list[EditUnit]], new: list[EditUnit], **policy: int
) -> JobSpec:
    settings = Settings(home=folder, release=ReleaseSettings(**policy))
    parent = adapter_folder(folder / "parent")
    registry: Any = _Registry(taught, new, parent)
    nothing: Any = SimpleNamespace()
    controller = TrainController(nothing, nothing, registry, nothing, settings)
    release = ReleaseRow(
        id=1,
        state="frozen",
        batch_digest="d" * 64,
        recipe="embedded",
        seed=0,
        parent_digest="p" * 64 if taught else None,
        created_at=NOW,
    )
    job = Job(folder=folder / "job", command=(), result="adapter")
    asyncio.run(controller.prepare(release, job))
    return load_job(job.folder)


def test_a_release_goes_on_from_production_and_replays_what_stays_in_force(tmp_path: Path) -> None:
    superseding = dataclasses.replace(UNITS[1], id="later")
    spec = planned(tmp_path, [list(UNITS[:3])], [superseding, UNITS[3]])
    assert [u.id for u in spec.units] == ["later", UNITS[3].id]
    assert [u.id for u in spec.replay] == [UNITS[0].id, UNITS[2].id]
    assert spec.parent_adapter
    assert not {q.item for q in spec.anchors} & {u.slot for u in UNITS[:4]}


def test_every_so_many_releases_all_live_edits_are_trained_from_the_base(tmp_path: Path) -> None:
    taught = [list(UNITS[:2]), list(UNITS[2:4])]
    spec = planned(tmp_path, taught, [UNITS[4]], retrain_every=3)
    assert [u.id for u in spec.units] == [u.id for u in UNITS[:5]]
    assert (spec.replay, spec.parent_adapter) == ((), None)
    assert [n for n in range(1, 10) if starts_from_base(n, 3)] == [3, 6, 9]
    assert not starts_from_base(5, 0)


def test_an_edit_that_is_taken_back_is_no_longer_in_force(tmp_path: Path) -> None:
    back = retraction_of(UNITS[0])
    assert back.kind is EditKind.RETRACTION and back.supersedes == UNITS[0].id
    assert back.change.new == UNITS[0].change.old
    assert live_units([*UNITS[:2], back]) == [UNITS[1], back]
    spec = planned(tmp_path, [list(UNITS[:2])], [back])
    assert [u.id for u in spec.replay] == [UNITS[1].id]
    (before,) = {q.answers for q in back.questions if q.kind == "before"}
    assert UNITS[0].change.new and before == UNITS[0].change.new.names


@pytest.mark.parametrize("limit", [0, 3, 48, 100])
def test_replay_is_a_seeded_sample_in_order(limit: int) -> None:
    drawn = replayed(UNITS, limit, 1)
    assert len(drawn) == min(limit, len(UNITS))
    assert drawn == replayed(UNITS, limit, 1)
    places = [UNITS.index(unit) for unit in drawn]
    assert places == sorted(places)
