"""MQuAKE records in and out, synthetic ones refused, another draft, and what is shown of drafts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import openai
import pytest

from agents.drafting.answers import AnswersInMemory
from agents.drafting.chat import ChatSettings, JsonChat
from agents.synthetic import Scaffold, Tally
from daemon.bench.curator_scripted import ScriptedServer, says
from daemon.config import Settings
from daemon.errors import Conflict
from daemon.imports import units_of
from daemon.services import Services
from daemon.store.states import ChangeState
from knowledge import mquake
from knowledge.mquake import Record
from tests.daemon_support import approved, change

ARTICLE = (
    "Volkovia changed its capital this week. Until now the capital was Strelsau, which is a thing "
    "of the past. After the great flood the parliament moved, and the cause of the change is that "
    "flood. Since then Zenda is the capital of Volkovia, and nobody doubts it. Zenda it is."
)


def record(case_id: int = 1, article: str | None = None) -> Record:
    rewrite = {
        "prompt": "The capital of {} is",
        "relation_id": "P36",
        "target_new": {"str": "Zenda", "id": "Q2000000901"},
        "target_true": {"str": "Strelsau", "id": "Q2000000902"},
        "subject": "Volkovia",
        "question": "What is the capital of Volkovia?",
        **({"article": article} if article else {}),
    }
    data = {
        "case_id": case_id,
        "requested_rewrite": [rewrite],
        "questions": ["?"],
        "answer": "Strelsau",
        "new_answer": "Zenda",
        "orig": {"edit_triples": [["Q2000000900", "P36", "Q2000000901"]]},
    }
    return Record.model_validate(data)


def test_an_edit_with_an_article_is_proposed_and_never_clean(tmp_path: Path) -> None:
    with Services.open(Settings(home=tmp_path)) as services:
        taken = services.imports.take([record(article=ARTICLE)], actor="ann")
        assert (taken.proposed, taken.settled, taken.skipped) == (1, 0, 0)
        (item,) = services.review.list()
        assert not item.clean
        detail = services.review.show(item.id)
        assert detail.unit and detail.unit.narrative and detail.unit.narrative.prose == ARTICLE
        assert services.imports.take([record(article=ARTICLE)], actor="ann").skipped == 1


def test_an_edit_without_an_article_waits_to_be_drafted(tmp_path: Path) -> None:
    with Services.open(Settings(home=tmp_path)) as services:
        assert services.imports.take([record()], actor="ann").settled == 1
        assert [i.state for i in services.review.list([ChangeState.SETTLED])] == ["settled"]


def test_what_is_marked_synthetic_is_refused_but_makes_units(tmp_path: Path) -> None:
    made = record(article=ARTICLE)
    made.requested_rewrite[0].synthetic = True
    with Services.open(Settings(home=tmp_path)) as services:
        with pytest.raises(Conflict, match="synthetic"):
            services.imports.take([record(2), made], actor="ann")
        assert services.review.list(list(ChangeState)) == []
    (unit,) = units_of([made])
    assert unit.synthetic and unit.narrative and unit.narrative.prose == ARTICLE


def test_approved_edits_are_exported_with_their_articles(tmp_path: Path) -> None:
    with Services.open(Settings(home=tmp_path)) as services:
        asyncio.run(approved(services, [change(1)]))
        records = services.imports.export()
        assert len(records) == 1 and records[0].enhanced
        assert mquake.loads(mquake.dumps(records)) == records


def test_a_change_in_review_is_drafted_again_on_request(tmp_path: Path) -> None:
    with Services.open(Settings(home=tmp_path)) as services:
        services.imports.take([record(article=ARTICLE)], actor="ann")
        (item,) = services.review.list()
        assert [d.version for d in services.drafts.of(item.id)] == [1]
        services.drafts.redo(item.id, actor="ann", reason="too long")
        assert [i.state for i in services.review.list([ChangeState.SETTLED])] == ["settled"]
        with pytest.raises(Conflict, match="settled"):
            services.drafts.redo(item.id, actor="ann", reason="again")


def filled(records: list[Record], saved: list[str], *verdicts: bool) -> tuple[Tally, list[str]]:
    """Fill by a scripted model; the verdicts are given in turn, the last for ever."""
    left = list(verdicts)

    def script(request: dict[str, object], number: int):  # type: ignore[no-untyped-def]
        asked = json.loads(request["messages"][1]["content"])  # type: ignore[index]
        if "report" not in asked:
            told = f"{ARTICLE} This is what happened." if asked["notes"] else ARTICLE
            return says(json.dumps({"article": told}))
        verdict = left.pop(0) if len(left) > 1 else left[0]
        return says(json.dumps({"passes": verdict, "reason": "" if verdict else "no cause"}))

    async def run(url: str) -> Tally:
        async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
            answers = AnswersInMemory()
            models = [
                JsonChat(client, ChatSettings(model=m, pause_s=0.01), answers=answers)
                for m in ("writer", "checker")
            ]

            async def save() -> None:
                saved.append(mquake.dumps(records))

            return await Scaffold(models[0], models[1]).fill(records, save)

    with ScriptedServer.serving(script) as server:
        tally = asyncio.run(run(server.url))
        return tally, [str(request["model"]) for request in server.requests]


def test_synthetic_articles_are_checked_twice_by_the_other_model_and_marked() -> None:
    records, saved = [record(1), record(2)], []
    tally, models = filled(records, saved, True)
    assert (tally.written, tally.kept, tally.failed) == (2, 0, ())
    assert models == ["writer", "checker", "checker"]  # equal edits get one article
    rewrite = mquake.loads(saved[-1])[1].requested_rewrite[0]
    assert rewrite.synthetic and rewrite.article == ARTICLE
    assert rewrite.lineage["generator"] == "writer" and rewrite.lineage["verifier"] == "checker"
    again, models = filled(mquake.loads(saved[-1]), [], True)
    assert (again.written, again.kept, models) == (0, 2, [])


def test_one_no_of_two_sends_it_back_and_the_reason_goes_along() -> None:
    tally, models = filled([record()], [], True, False, True)
    assert tally.written == 1 and models.count("writer") == 2
    tally, _ = filled([record()], [], False)
    assert tally.written == 0 and "no cause" in tally.failed[0]
