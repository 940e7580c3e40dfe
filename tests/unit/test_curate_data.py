"""The bench on files that it has never seen: of the recorded layouts it works, else it says why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from agents.curate import Curator
from agents.proposals import Proposal
from daemon.bench import curator
from daemon.bench.curator_cases import DATA, Case, recorded
from daemon.bench.curator_data import DataError
from daemon.bench.curator_wiki import NOW, Store

NAMES = ("Ada Vexley", "Bram Oosting", "Çelik Öz", "Dana O’Quill", "Émile Ferrand", "Fay van Loo")


def row(number: int, property_id: str, old: Any, new: Any, **more: Any) -> dict[str, Any]:
    """A snapshot row of the year after next, of subjects that nobody has recorded."""
    return {
        "uniq_id": number,
        "subject": f"Q{990_000 + number}",
        "subject_label": f"Vexmoor {'ABCDEF'[number % 6]}",
        "property": property_id,
        "kind": "current",
        "template": "unused",
        "answers": {"Jan2027": old, "Jun2027": [{"id": "Q1", "label": "between"}], "Dec2027": new},
        **more,
    }


def answer(number: int) -> list[dict[str, str]]:
    return [{"id": f"Q{880_000 + number}", "label": NAMES[number % len(NAMES)]}]


FOREIGN = [
    row(1, "P6", answer(0), answer(1)),
    row(1, "P6", answer(5), answer(0), kind="previous"),
    row(2, "P169", answer(2), answer(3), note="a field that is not known"),
    row(3, "P54", answer(4), answer(5)),
    row(4, "P6", answer(1), answer(1)),  # nothing changed
    row(5, "P9999", answer(1), answer(2)),  # not watched
    row(6, "P6", [{"id": "somevalue", "label": "?"}], answer(2)),
    row(7, "P6", [{"id": "Q5"}], answer(2)),  # without a name
    row(8, "P6", [], answer(2)),
]


def written(folder: Path, rows: list[Any], name: str = "foreign.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(r) for r in rows) + "\n\n", encoding="utf-8")
    return path


def proposed(case: Case) -> Proposal:
    made = Curator(
        evidence=case.source, store=Store(), checkpointer=InMemorySaver(), clock=lambda: NOW
    )
    return asyncio.run(made.propose(case.change))


def test_rows_that_nobody_has_seen_become_clean_proposals(tmp_path: Path) -> None:
    cases = recorded(written(tmp_path, FOREIGN))
    assert [c.change.property for c in cases] == ["P6", "P169", "P54"]
    for case in cases:
        proposal = proposed(case)
        narrative = proposal.unit.narrative
        assert proposal.clean and narrative and narrative.cause is None
        assert case.change.new and case.change.new.label in narrative.prose


def test_a_folder_is_searched_for_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "changes").mkdir()
    written(tmp_path / "changes", FOREIGN, "snapshot-changes.jsonl")
    written(tmp_path, ["something else"], "notes.json")
    assert len(recorded(tmp_path)) == 3


@pytest.mark.skipif(not DATA.is_dir(), reason="no recorded data beside this checkout")
def test_a_recorded_file_under_other_names_reads_as_before(tmp_path: Path) -> None:
    path = DATA / "changes" / "snapshot-changes.jsonl"
    known = recorded(path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for one in rows:
        one["subject_label"] = f"New {one['subject_label']}"
        one["answers"] = {f"later {time}": a for time, a in one["answers"].items()}
    other = recorded(written(tmp_path, rows))
    assert [c.change.key for c in other] == [c.change.key for c in known] and len(known) > 100
    assert all(c.change.subject.label.startswith("New ") for c in other)


def _without(key: str) -> Callable[[], list[Any]]:
    return lambda: [FOREIGN[0], {k: v for k, v in FOREIGN[2].items() if k != key}]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (_without("answers"), "line 2: not a snapshot row.*answers"),
        (_without("subject"), "line 2: not a snapshot row.*subject"),
        (lambda: [FOREIGN[0], ["a", "list"]], "line 2: a JSON object is wanted"),
        (lambda: [row(1, "P6", answer(0), answer(1), subject="Berlin")], "line 1.*Berlin"),
        (lambda: [row(1, "P6", answer(0), answer(1), answers={})], "line 1: not a snapshot row"),
        (lambda: [FOREIGN[4]], "no row is a change that can be curated"),
        (lambda: [], "no row is a change that can be curated"),
    ],
)
def test_a_file_of_another_layout_is_refused_with_the_place(
    tmp_path: Path, rows: Callable[[], list[Any]], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        recorded(written(tmp_path, rows()))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.jsonl", "{cut", "line 1: no JSON"),
        ("x.csv", "a,b\n1,2\n", "not a table of labelled edits"),
        ("x.json", '{"group": {"name": 3}}', "not a table of holders"),
        ("x.txt", "hello", "name a .jsonl"),
    ],
)
def test_the_bench_ends_with_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    for given in (path, tmp_path / "nowhere.jsonl"):
        monkeypatch.setenv("DATA", str(given))
        with pytest.raises(SystemExit) as ended:
            curator.measure(quick=True)
        message = str(ended.value)
        assert message.startswith("bench-curator: ") and "\n" not in message
        assert (said if given == path else "no such file") in message
