"""Free articles: plain newspaper prose about changes that never happened, and questions on it.

Owns reading `data/embedded/free-*.jsonl` and how their answers are judged. The test set was written
without sight of the corpus and its grammar; its digest stands in `DIGEST`, and nothing is tuned on
it. The development set is there to look at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daemon.bench.embedded_cases import Case, Judged, asked, share
from daemon.bench.rows import Op, Row
from evaluator.intervals import interval
from evaluator.probes import Part, Probe
from knowledge.model import LanguageModel
from knowledge.properties import CATALOGUE
from knowledge.questions import Question, QuestionKind, Use

FOLDER = Path(__file__).with_name("data") / "embedded"
DIGEST = "b83702dac73653dbad0947e94e20148fb1e5d99f7891c23950c9f7951dd43195"
"""sha256 of free-test.jsonl."""

_KINDS = {
    "short": QuestionKind.DIRECT,
    "check": QuestionKind.CHECK,
    "before": QuestionKind.BEFORE,
    "why": QuestionKind.WHY,
    "explain": QuestionKind.EXPLAIN,
}


@dataclass(frozen=True, slots=True)
class FreeQuestion:
    """One question of an article; of several cases (wordings of the cause) one has to be right."""

    article: str
    kind: str
    cases: tuple[Case, ...]


def read(path: Path) -> list[FreeQuestion]:
    """The questions of a file, in its order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    articles = [json.loads(line) for line in lines if line.strip()]
    return [_question(a, n, q) for a in articles for n, q in enumerate(a["questions"])]


def digest() -> str:
    """Of the test set as it lies here."""
    return hashlib.sha256((FOLDER / "free-test.jsonl").read_bytes()).hexdigest()


def _question(article: Mapping[str, Any], number: int, raw: Mapping[str, Any]) -> FreeQuestion:
    new, old = tuple(article["new"]), tuple(article["old"])
    kind = _KINDS[raw["kind"]]
    question = Question(
        kind=kind,
        use=Use.HELD,
        text=raw["text"],
        answers=old if kind is QuestionKind.BEFORE else new,
        reference="",
        legacy=() if kind is QuestionKind.BEFORE else old,
        item=article["id"],
    )
    if kind is QuestionKind.CHECK:
        claimed = next((n for n in (*new, *old) if n in raw["text"]), None)
        question = replace(question, verdict=raw["answers"][0] == "yes", claimed=claimed)
    causes: Sequence[str | None] = raw["answers"] if kind is QuestionKind.WHY else (None,)
    probe = Probe(
        id=f"{article['id']}/{number}",
        part=Part.EDIT,
        cluster=article["id"],
        question=question,
        new=new,
        old=old,
        subject=article["subject"],
        persons=CATALOGUE[article["property"]].wording.wh == "Who",
    )
    cases = tuple(
        Case(replace(probe, question=replace(question, cause=cause)), article["article"])
        for cause in causes
    )
    return FreeQuestion(article["id"], raw["kind"], cases)


def answered(model: LanguageModel, questions: Sequence[FreeQuestion]) -> list[list[Judged]]:
    """All verdicts of each question: one, or one for each accepted wording of the cause."""
    judged = iter(asked(model, [case for q in questions for case in q.cases]))
    return [[next(judged) for _ in q.cases] for q in questions]


def rows(model: LanguageModel, *, quick: bool) -> list[Row]:
    """The share of the test set answered rightly, with its interval; development in the detail."""
    most = 10 if quick else None
    test = read(FOLDER / "free-test.jsonl")[:most]
    found = digest()
    rights = [any(j.right for j in found) for found in answered(model, test)]
    cells: dict[str, list[bool]] = {}
    for question, right in zip(test, rights, strict=True):
        cells.setdefault(question.article, []).append(right)
    low, high, _ = interval([(a, float(sum(r)), float(len(r))) for a, r in cells.items()])
    value = round(100 * sum(rights) / len(rights), 2)
    kinds = ", ".join(
        f"{kind} {_share(test, rights, kind):.0f}" for kind in dict.fromkeys(q.kind for q in test)
    )
    detail = (
        f"95 % interval {100 * low:.0f} to {100 * high:.0f}; {kinds}; {_development(model, most)}"
    )
    bars = (("free articles", 50), ("free articles (goal)", 85))
    return [
        *(
            Row(what=what, value=value, unit="%", bar=bar, op=Op.AT_LEAST, detail=detail)
            for what, bar in bars
        ),
        Row(
            what="questions on free articles",
            value=len(test),
            unit="",
            bar=300,
            op=Op.AT_LEAST,
            detail=f"{len(cells)} articles",
        ),
        Row(
            what="the test set is the committed one",
            value=int(found == DIGEST),
            unit="",
            bar=1,
            op=Op.EQUAL,
            detail=found[:12],
        ),
    ]


def _share(questions: Sequence[FreeQuestion], rights: Sequence[bool], kind: str) -> float:
    chosen = [right for q, right in zip(questions, rights, strict=True) if q.kind == kind]
    return 100 * sum(chosen) / len(chosen)


def _development(model: LanguageModel, most: int | None) -> str:
    found = answered(model, read(FOLDER / "free-dev.jsonl")[:most])
    best = [next((j for j in js if j.right), js[0]) for js in found]
    return f"development {share(best):.0f} of {len(best)}"
