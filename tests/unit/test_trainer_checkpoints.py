"""The newest readable checkpoint counts, and whoever asks is told of those that are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainer.checkpoints import Checkpoint, CheckpointStore

FILES = ("state.json", "optimizer.pt", "student.safetensors")


def _filled(folder: Path) -> CheckpointStore:
    store = CheckpointStore(folder, "job")
    for step in (2, 4):
        student = {"a": torch.full((3,), float(step))}
        optimizer = {"state": {0: torch.ones(100)}}
        store.save(Checkpoint(stage="sft", step=step, student=student, optimizer=optimizer))
    return store


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [_truncate, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, name: str, damage
) -> None:
    store = _filled(tmp_path)
    newest = max((tmp_path / "checkpoints").iterdir())
    damage(newest / name)
    told: list[str] = []
    found = store.latest(told.append)
    assert found is not None
    assert (found.step, found.student["a"].tolist()) == (2, [2.0] * 3)
    assert len(told) == 1
    assert told[0].startswith(f"checkpoint {newest.name} cannot be read (")
    assert "\n" not in told[0]


def test_without_a_readable_one_the_run_begins_anew(tmp_path: Path) -> None:
    store = _filled(tmp_path)
    for folder in (tmp_path / "checkpoints").iterdir():
        _truncate(folder / "state.json")
    told: list[str] = []
    assert store.latest(told.append) is None
    assert len(told) == 2


def test_whole_checkpoints_are_read_in_silence_and_another_jobs_are_not_ours(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    found = _filled(tmp_path).latest(told.append)
    assert found is not None and found.step == 4
    assert CheckpointStore(tmp_path, "other").latest(told.append) is None
    assert told == []
