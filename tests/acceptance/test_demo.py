"""The whole loop as a user starts it: the mini demo, untrained, and killed in every stage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon import config
from daemon.registry.service import PRODUCTION
from daemon.services import Services
from daemon.store.states import ChangeState

pytestmark = pytest.mark.slow

WHOLE_TIMEOUT_S = 400
STAGES = (
    "Reading the watch list",
    "Watching 40 days",
    "Training release 1",
    "Examining release 1",
    "Serving version 1",
    "Training release 2",
    "Examining release 2",
    "Rolling back",
    "Asking before and after",
)
"""First words of what the demo says at the start of each stage, in their order."""


def command(home: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "daemon.demo", "--mini", "--home", str(home), *more]


def play(root: Path, home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a demo to its end."""
    return subprocess.run(
        command(home, *more),
        cwd=root,
        capture_output=True,
        text=True,
        timeout=WHOLE_TIMEOUT_S,
        check=False,
    )


def result_of(home: Path) -> dict[str, Any]:
    return json.loads((home / "result.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Outcome:
    """What a demo leaves, without ids and times."""

    changes: frozenset[tuple[str, str]]
    narratives: frozenset[tuple[str, str]]
    adapters: tuple[str | None, ...]
    history: tuple[tuple[str, str | None, str | None], ...]


def outcome_of(home: Path) -> Outcome:
    settings = config.load(home / "almanac.toml").settings
    with Services.open(settings) as services:
        items = services.review.list(tuple(ChangeState))
        units = [services.review.show(item.id).unit for item in items]
        moves = services.registry.history(PRODUCTION)
        assert services.registry.broken_at(PRODUCTION) is None
        return Outcome(
            changes=frozenset((item.fact.key, item.state.value) for item in items),
            narratives=frozenset(
                (unit.change.key, unit.narrative.digest)
                for unit in units
                if unit and unit.narrative
            ),
            adapters=tuple(version.digest for version in services.registry.versions()),
            history=tuple((move.action, move.from_digest, move.to_digest) for move in moves),
        )


def left_running(home: Path) -> list[int]:
    """Processes whose command line names this demo's folder."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(home) in words:
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def undisturbed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mini demo from start to end; its folder."""
    home = tmp_path_factory.mktemp("undisturbed") / "demo"
    done = play(root, home)
    assert done.returncode == 0, done.stdout + done.stderr
    return home


def test_the_demo_shows_what_it_promises(undisturbed: Path) -> None:
    result = result_of(undisturbed)
    assert result["verdicts"] == ["pass", "pass"]
    assert result["promoted"] == 2
    assert result["found"]["expected"] == 4
    assert result["found"]["misses"] == []
    assert result["found"]["false_keeps"] == []
    assert sum(result["found"]["dismissed"].values()) >= 20
    assert len(result["shown"]) == 4
    before = sum(shown["right_before"] for shown in result["shown"])
    after = sum(shown["right_after"] for shown in result["shown"])
    assert before == 0
    assert after >= 3
    rolled = result["rolled"]
    assert rolled["served"] == rolled["promoted_again"]
    assert rolled["back_s"] < 5


def test_the_second_release_starts_from_the_first(undisturbed: Path) -> None:
    settings = config.load(undisturbed / "almanac.toml").settings
    with Services.open(settings) as services:
        _, first, second = services.registry.versions()
        assert second.parent == first.digest
        assert len(services.registry.live_units(second.digest)) == 4
        actions = [move.action for move in services.registry.history(PRODUCTION)]
    assert actions == ["promote", "promote", "rollback", "promote"]


def test_the_report_stands_alone(undisturbed: Path) -> None:
    text = (undisturbed / "report.html").read_text(encoding="utf-8")
    assert "What changed on Wikidata" in text
    assert "<svg" in text
    assert "http://127.0.0.1" not in text
    assert "<script" not in text


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_no_process_outlives_the_demo(undisturbed: Path) -> None:
    assert left_running(undisturbed) == []


def test_a_second_demo_resumes_to_the_same_end(root: Path, undisturbed: Path) -> None:
    before = outcome_of(undisturbed)
    done = play(root, undisturbed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Training" not in done.stdout
    assert outcome_of(undisturbed) == before


def test_another_seed_needs_a_fresh_start(root: Path, undisturbed: Path) -> None:
    done = play(root, undisturbed, "--seed", "77")
    assert done.returncode == 2
    assert "FRESH=1" in done.stderr


def test_without_training_the_gate_says_fail_and_nothing_is_promoted(
    root: Path, tmp_path: Path
) -> None:
    home = tmp_path / "demo"
    done = play(root, home, "--recipe", "none")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the gate says fail to release 1" in done.stdout
    assert outcome_of(home).history == ()
    assert result_of(home)["verdicts"] == ["fail"]


def test_killed_in_every_stage_it_comes_to_the_same_end(
    root: Path, tmp_path: Path, undisturbed: Path
) -> None:
    home = tmp_path / "demo"
    for stage in STAGES:
        assert killed_in(stage, root, home), stage
    done = play(root, home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcome_of(home) == outcome_of(undisturbed)


def killed_in(stage: str, root: Path, home: Path) -> bool:
    """Start or continue the demo and kill it as soon as it names a stage; False when the stage
    never came, or had ended before the kill."""
    demo = subprocess.Popen(command(home), cwd=root, stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    with demo.stdout as lines:
        for line in lines:
            if line.startswith(stage):
                demo.send_signal(signal.SIGKILL)
                demo.wait()
                return not any(later.startswith(STAGES) for later in lines)
    demo.wait()
    return False


def test_ctrl_c_leaves_a_state_to_go_on_from(root: Path, tmp_path: Path) -> None:
    home = tmp_path / "demo"
    demo = subprocess.Popen(command(home), cwd=root, stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    with demo.stdout as lines:
        for line in lines:
            if line.startswith("Watching"):
                demo.send_signal(signal.SIGINT)
                break
        rest = lines.read()
    assert demo.wait(30) == 130
    assert "goes on from here" in rest
    assert left_running(home) == []


def test_a_folder_that_is_no_demo_is_not_emptied(root: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    done = play(root, tmp_path, "--fresh")
    assert done.returncode == 2
    assert "is not a demo's folder" in done.stderr
    assert (tmp_path / "letters.txt").read_text() == "dear"
