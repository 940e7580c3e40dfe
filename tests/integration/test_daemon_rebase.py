"""The ledger on another base model: trained, examined, put before the gate."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from daemon.cli import main
from daemon.registry.service import Registry
from knowledge.edits import EditUnit
from knowledge.questions import Use
from tests.trainer_models import make_units, shared_base


def _examined(unit: EditUnit) -> EditUnit:
    """The unit with its training questions asked in the examination as well."""
    again = tuple(dataclasses.replace(q, use=Use.EXAM) for q in unit.questions)
    return dataclasses.replace(unit, questions=(*unit.questions, *again))


def _call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code if isinstance(ended.value.code, int) else 0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALMANAC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_all_edits_in_force_are_trained_on_the_other_base_and_judged(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    units = [_examined(unit) for unit in make_units()]
    monkeypatch.setattr(Registry, "live_units", lambda *_: units)
    command = ("rebase", "--base", str(shared_base()), "--recipe", "none", "--json")
    assert _call(*command) == 1  # an adapter without effect passes no gate
    said = capsys.readouterr().out
    found = json.loads(said[said.index("{\n") :])
    assert (found["edits"], found["verdict"]) == (2, "fail")
    assert (Path(found["adapter"]) / "adapter_model.safetensors").is_file()
    assert Path(found["report"]).read_text(encoding="utf-8").startswith("<!doctype html")
    assert Path(found["adapter"]).is_relative_to(home)


def test_what_cannot_be_rebased_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _call("rebase", "--base", str(shared_base())) == 1
    assert "no edit is in force" in capsys.readouterr().err
    assert _call("rebase", "--base", str(tmp_path)) == 2
    assert "point it at the folder of a transformers model" in capsys.readouterr().err
