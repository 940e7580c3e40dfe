"""`almanac gate` and `almanac eval`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.cli import main
from tests.unit.test_eval_rejudge import CASES


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALMANAC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        output = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), output.out, output.err

    return run


def test_power_says_what_the_strict_bar_needs(call) -> None:
    code, out, _ = call("gate", "power", "--policy", "default", "--json")
    assert code == 0
    limits = {row["limit"]: row for row in json.loads(out)["limits"]}
    assert limits["srr_any_pooled"]["none wrong"] == 59
    assert limits["efficacy"]["none wrong"] == 14
    code, out, _ = call("gate", "power", "--edits", "12")
    assert code == 0 and "59 without a failure" in out


def test_an_unknown_policy_or_release_is_refused_in_one_line(call) -> None:
    code, _, error = call("gate", "power", "--policy", "strict")
    assert code == 2 and "no shipped policy 'strict'" in error
    code, _, error = call("gate", "explain", "7")
    assert code == 1 and error.count("\n") == 1
    code, _, error = call("gate", "replay")
    assert code == 1 and "nothing to replay" in error


def test_a_references_file_is_judged_from_the_command_line(call, home: Path) -> None:
    (home / "metrics.json").write_text(json.dumps(CASES), encoding="utf-8")
    code, out, _ = call("eval", "judge", str(home), "--self-refute", "--why")
    assert code == 0
    assert "H-Acc (overall_hop_wise_average)" in out
    assert "SRR: Combined (any source), among recalled hop-wise" in out
    assert (home / "judged" / "summary.json").is_file()


def test_a_judge_model_needs_an_endpoint_and_one_that_is_down_is_told(call, home: Path) -> None:
    (home / "metrics.json").write_text(json.dumps(CASES[:1]), encoding="utf-8")
    code, _, error = call("eval", "judge", str(home), "--judge-model", "m")
    assert code == 2 and "--judge-endpoint" in error


def test_versions_that_were_never_evaluated_are_told(call) -> None:
    code, _, error = call("eval", "show", "base")
    assert code == 1 and "never evaluated" in error
    code, _, error = call("eval", "run", "base")
    assert code == 1 and "taught nothing" in error
    code, _, error = call("eval", "judge", "nowhere.json")
    assert code == 1 and "cannot be read" in error
