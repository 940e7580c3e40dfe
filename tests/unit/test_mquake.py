"""MQuAKE records: what is read is written again, and our units fit the format."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from daemon.bench.curator_wiki import curator, moldova
from knowledge.edits import EditUnit
from knowledge.mquake import MquakeError, changes_of, dumps, loads, read_records, records_of

SAMPLE = Path(__file__).resolve().parents[3] / "shared/data/mquake/mquake-cf-sample.json"


def unit() -> EditUnit:
    wiki, change = moldova()
    return asyncio.run(curator(wiki, InMemorySaver()).propose(change)).unit


def test_the_recorded_sample_survives_reading_and_writing() -> None:
    if not SAMPLE.exists():
        pytest.skip(f"recorded MQuAKE sample not found at {SAMPLE}")
    records = read_records(SAMPLE)
    assert len(records) > 100
    assert json.loads(dumps(records)) == json.loads(SAMPLE.read_text(encoding="utf-8"))
    assert not any(record.enhanced for record in records)
    assert sum(len(changes_of(record)) for record in records) > 100


def test_unknown_fields_and_articles_are_kept() -> None:
    record = {
        "case_id": 1,
        "requested_rewrite": [
            {
                "prompt": "{} is led by",
                "relation_id": "P6",
                "target_new": {"str": "B", "id": "Q2"},
                "target_true": {"str": "A", "id": "Q1"},
                "subject": "S",
                "question": "Who leads S?",
                "article": "<h1>News</h1>",
                "rephrase_prompt": [{"question": "q", "answer": "a"}],
            }
        ],
        "questions": ["q1", "q2", "q3"],
        "answer": "A",
        "new_answer": "B",
        "answer_extended": ["x"],
        "orig": {"edit_triples": [["Q9", "P6", "Q2"]], "edit_triples_idx": [0]},
    }
    (read,) = loads(json.dumps([record]))
    assert read.enhanced
    assert json.loads(dumps([read])) == [record]
    (change,) = changes_of(read)
    assert (change.slot, change.new and change.new.label) == ("Q9:P6", "B")


def test_a_unit_becomes_a_record_and_reads_back_as_the_same_change() -> None:
    edit = unit()
    (record,) = loads(dumps(records_of([edit])))
    rewrite = record.requested_rewrite[0]
    assert record.enhanced and edit.narrative and rewrite.article == edit.narrative.prose
    assert rewrite.prompt == "The head of government of {} is"
    assert (record.answer, record.new_answer) == ("Mălăiești", "Dondușeni")
    assert [hop.answer for hop in record.new_single_hops] == ["Dorin Recean"]
    (change,) = changes_of(record)
    assert change.key == edit.change.key


@pytest.mark.parametrize("text", ["{}", "[{}]", "nonsense", '[{"case_id": "x"}]'])
def test_what_is_no_record_is_told(text: str) -> None:
    with pytest.raises(MquakeError, match="no MQuAKE records"):
        loads(text)
