"""The demo's parts that decide something: what is remembered, what fails, what is cleared."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from agents.wikidata.errors import BrokenAnswer
from daemon import config
from daemon.demo import run
from daemon.demo.children import Children, free_port
from daemon.demo.errors import DemoError
from daemon.demo.home import clear, held, own_settings
from daemon.demo.notes import Notes
from daemon.demo.options import FULL, MINI, DemoOptions, remember, settings_text
from daemon.demo.progress import Narrator
from daemon.demo.result import Criterion, DemoResult, Found, Measure, Rolled, Shown
from daemon.demo.summary import show

FOUND = Found(
    edits_seen=96,
    kept=8,
    dismissed={"revert": 80, "label": 8},
    unexplained=0,
    expected=4,
    misses=(),
    false_keeps=(),
)
ROLLED = Rolled(
    question="Who?", served="B.", rolled_back="A.", promoted_again="B.", back_s=0.2, again_s=None
)
SHOWN = Shown(
    slot="Q1:P6",
    change="Town: A, then B",
    release=1,
    question="Who leads [Town]?",
    expected="B.",
    before="A.",
    after="B.",
    right_before=False,
    right_after=True,
)
RESULT = DemoResult(
    seed="1",
    recipe="mini",
    found=FOUND,
    verdicts=("pass", "pass"),
    promoted=2,
    wanted=2,
    shown=(SHOWN,),
    measures=(Measure(name="Efficacy", by_release=((0.0, 1.0), (None, 0.5)), better="higher"),),
    criteria=(
        Criterion(
            release=1, name="srr", value="3 %", limit="<= 25 %", verdict="pass", detail="exact"
        ),
    ),
    rolled=ROLLED,
    took_s={"watch": 1.25},
)


def test_a_good_demo_has_no_failures() -> None:
    assert RESULT.failures == ()


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (replace(RESULT, found=replace(FOUND, misses=("Q1:P6",))), "Q1:P6 was not found"),
        (replace(RESULT, found=replace(FOUND, false_keeps=("Q1:P6:Q2:Q3",))), "is not real"),
        (replace(RESULT, found=replace(FOUND, unexplained=2)), "without a reason"),
        (replace(RESULT, verdicts=("fail",)), "the gate says fail to release 1"),
        (replace(RESULT, promoted=1), "1 of 2 releases"),
        (replace(RESULT, rolled=replace(ROLLED, promoted_again="A.")), "did not bring"),
    ],
)
def test_each_thing_that_must_hold_is_a_failure_when_it_does_not(
    result: DemoResult, words: str
) -> None:
    assert any(words in failure for failure in result.failures)


def test_the_summary_shows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    show(Console(file=out, width=140), RESULT)
    text = out.getvalue()
    for words in ("dismissed: revert", "4 of 4", "Who leads [Town]?", "100.0 %", "<= 25 %", "0.20"):
        assert words in text
    assert "not measured" in text


def test_a_home_remembers_its_demo_and_keeps_its_port(tmp_path: Path) -> None:
    options = DemoOptions(home=tmp_path, seed="3")
    port = free_port()
    assert remember(options, port) == port
    assert remember(options, 5000) == port
    with socket.create_server(("127.0.0.1", port)):
        assert remember(options, 5000) == 5000
    for other in (replace(options, seed="4"), replace(options, mini=True)):
        with pytest.raises(DemoError, match="FRESH=1"):
            remember(other, 5000)


@pytest.mark.parametrize("mini", [False, True])
def test_the_settings_file_is_one_that_almanac_accepts(tmp_path: Path, mini: bool) -> None:
    options = DemoOptions(home=tmp_path, mini=mini)
    text = settings_text(
        options,
        "http://127.0.0.1:1",
        properties=["P6", "P35"],
        approvals="/a/b.toml",
        gate="demo",
    )
    options.settings_file.write_text(text)
    settings = config.load(options.settings_file).settings
    settings.require_contact()
    assert settings.wikidata.is_loopback
    assert settings.watch.properties == ("P6", "P35")
    assert settings.release.size == (MINI if mini else FULL).edits_per_release
    assert settings.clock.path == options.clock_file.resolve()
    assert tomllib.loads(text)["model"]["recipe"] == ("mini" if mini else "embedded")


def test_only_a_demo_is_cleared(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mine.txt").write_text("x")
    with pytest.raises(DemoError, match="will not be emptied"):
        clear(home)
    remember(DemoOptions(home=home), 1)
    blobs = home / "blobs" / "ab"
    blobs.mkdir(parents=True)
    (blobs / "weights").write_text("x")
    blobs.chmod(0o555)
    clear(home)
    assert list(home.iterdir()) == []


def test_two_demos_do_not_share_a_home(tmp_path: Path) -> None:
    options = DemoOptions(home=tmp_path / "home")
    with held(options):
        with pytest.raises(DemoError, match="another demo runs"), held(options):
            pass


def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    for home in (path, path / "below"):
        with (
            pytest.raises(DemoError, match="cannot be the demo's folder"),
            held(DemoOptions(home=home)),
        ):
            pass


def test_the_demo_does_not_obey_the_users_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALMANAC_DATABASE__URL", "sqlite:////the/users/own.db")
    monkeypatch.setenv("ALMANAC_CONFIG", "/the/users/own.toml")
    options = DemoOptions(home=tmp_path)
    text = settings_text(
        options, "http://127.0.0.1:1", properties=["P6"], approvals="/a.toml", gate="demo"
    )
    options.settings_file.write_text(text)
    script = tmp_path / "tell.py"
    script.write_text("import os; print([n for n in os.environ if n.startswith('ALMANAC_')])")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    children = Children(tmp_path)
    with own_settings():
        settings = config.load(options.settings_file).settings
        children.start("tell", "tell", [])
        with pytest.raises(DemoError, match=r"ended with status 0: \[\] "):
            children.wait_for("tell", lambda: False)
    children.stop_all()
    assert settings.database.url is None
    assert settings.home == tmp_path.resolve()
    assert os.environ["ALMANAC_CONFIG"] == "/the/users/own.toml"


def test_notes_survive_and_a_broken_file_is_an_empty_one(tmp_path: Path) -> None:
    Notes(took_s={"watch": 1.0}, back_s=0.3).write(tmp_path)
    assert Notes.read(tmp_path) == Notes(took_s={"watch": 1.0}, back_s=0.3)
    (tmp_path / "notes.json").write_text("{")
    assert Notes.read(tmp_path) == Notes()


def test_a_child_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    children = Children(tmp_path)
    children.start("broken", "daemon.serving", ["--set", "no.such=1"])
    with pytest.raises(DemoError, match=r"ended with status 2: gateway: unknown setting"):
        children.wait_for("broken", lambda: False)
    children.stop_all()


def test_a_child_left_behind_is_ended_at_the_next_start(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from daemon.demo.children import Children;"
        "c = Children(Path(sys.argv[1])); c.start('web', 'http.server',"
        " ['0', '--bind', '127.0.0.1'], tied=False); print(c.pid('web')); sys.stdout.flush();"
        "import os; os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=30
    )
    pid = int(done.stdout)
    assert alive(pid)
    assert Children(tmp_path).sweep() == 1
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)
    assert Children(tmp_path).sweep() == 0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or ") Z" not in stat.read_text()


def test_an_error_of_the_agents_ends_the_demo_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(_: object) -> None:
        raise BrokenAnswer("half an answer")

    monkeypatch.setattr(run._Demo, "_acts", fail)
    assert run.main(["--home", str(tmp_path / "home")]) == 2
    assert capsys.readouterr() == ("", "demo: half an answer\n")


def test_json_is_all_that_standard_output_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def acts(demo: run._Demo) -> tuple[DemoResult, str]:
        demo.narrator.say("Playing")
        (demo.home / "result.json").write_text('{"seed": "1"}', encoding="utf-8")
        return RESULT, "http://127.0.0.1:1"

    monkeypatch.setattr(run._Demo, "_acts", acts)
    assert run.main(["--home", str(tmp_path / "home"), "--json"]) == 0
    output, errors = capsys.readouterr()
    assert json.loads(output) == {"seed": "1"}
    assert "Playing" in errors and "Who leads [Town]?" in errors


def test_the_narrator_tells_and_times_each_stage() -> None:
    out = io.StringIO()
    narrator = Narrator(Console(file=out, width=100))
    with narrator.stage("watch", "Watching", total=2) as stage:
        stage.update(done=2, note="all seen")
    with narrator.stage("watch", "Watching"):
        pass
    assert "Watching ..." in out.getvalue()
    assert "Watching: all seen" in out.getvalue()
    assert set(narrator.took_s) == {"watch"}
