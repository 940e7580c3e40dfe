"""The embedded base model, measured: what it knows, what it can read, and what it weighs.

Owns the rows of `make bench-embedded`. Everything asked is judged by `evaluator`. `DATA=` names
further rows of real changes (snapshot-changes.jsonl) to be read about.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable
from pathlib import Path

from daemon.bench import (
    embedded_footing,
    embedded_free,
    embedded_pathology,
    embedded_record,
    embedded_snapshot,
)
from daemon.bench.embedded_cases import (
    HELD,
    OWN,
    STYLES,
    Case,
    Cases,
    Draw,
    Judged,
    Reading,
    asked,
    case,
    share,
)
from daemon.bench.rows import FOLDER, Op, Row
from daemon.bench.weights import bench_base
from evaluator.capability import run_tasks
from knowledge import questions as ask
from knowledge.questions import Use
from knowledge.world import World
from trainer.embedded.corpus import Corpus
from trainer.engines.transformers import TransformersEngine

SEED = 20260
"""No corpus is drawn with it: the names and changes are fresh."""


def measure(quick: bool) -> list[Row]:
    """Ask the shipped model (or that of the folder `BASE`) and weigh it."""
    folder = bench_base()
    engine = TransformersEngine.load(folder, threads=1)
    corpus = Corpus(World.load())

    def pieces(name: str) -> int:
        return len(engine.chat.tokenizer(f" {name}").input_ids)

    bench = _Bench(engine, Cases(corpus, pieces), quick)
    rows = [
        *bench.memory(),
        *bench.reading(),
        *bench.off_topic(),
        *bench.refutations(),
        *embedded_free.rows(engine, quick=quick),
        *bench.skills(),
        *embedded_snapshot.rows(engine, bench.cases, os.environ.get("DATA"), quick=quick),
        *embedded_pathology.rows(folder, quick=quick),
        *embedded_footing.rows(folder, quick=quick),
    ]
    bench.write_wrong(FOLDER / "embedded.wrong.jsonl")
    return [*rows, embedded_record.reproduced(rows, folder, quick=quick)]


def counted(what: str, value: int, least: int) -> Row:
    """A row that says whether enough was looked at."""
    return Row(what=what, value=value, unit="", bar=least, op=Op.AT_LEAST)


def percent(what: str, value: float | None, floor: float, goal: float, detail: str) -> list[Row]:
    """A row for the floor that others build on, and one for the goal."""
    value = None if value is None else round(value, 2)
    return [
        Row(what=what, value=value, unit="%", bar=floor, op=Op.AT_LEAST, detail=detail),
        Row(what=f"{what} (goal)", value=value, unit="%", bar=goal, op=Op.AT_LEAST, detail=detail),
    ]


class _Bench:
    """One pass over all abilities; keeps the outputs that can refute themselves."""

    def __init__(self, engine: TransformersEngine, cases: Cases, quick: bool) -> None:
        self.engine = engine
        self.cases = cases
        self.quick = quick
        self._pool: list[Judged] = []
        self._wrong: list[Judged] = []

    def _ask(self, cases: list[Case], *, pooled: bool = True) -> list[Judged]:
        judged = asked(self.engine, cases)
        self._wrong += [j for j in judged if not j.right]
        if pooled:
            self._pool += [j for j in judged if j.probed]
        return judged

    def _count(self, full: int) -> int:
        return max(2, full // 120) if self.quick else full

    def _rng(self, *of: object) -> random.Random:
        return random.Random(f"{SEED} {of}")

    def write_wrong(self, path: Path) -> None:
        """The wrong answers, one JSON object a line: what there is to learn from."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps(
                {
                    "article": j.case.article,
                    "question": j.case.probe.question.text,
                    "reference": j.case.probe.question.reference,
                    "said": j.text,
                    "refutes": j.refutes,
                },
                ensure_ascii=False,
            )
            for j in self._wrong
        ]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    # -- closed book -------------------------------------------------------------------------

    def memory(self) -> list[Row]:
        corpus = self.cases.corpus
        facts = corpus.memory + corpus.relations
        changeable = len({s.slot for s in corpus.world.successions})
        step = 40 if self.quick else 1
        plain = self._ask(
            [case(s, ask.direct(s, Use.EXAM)[0]) for s in facts[::step]], pooled=False
        )
        rng = self._rng("paraphrases")
        drawn = [rng.choice(facts) for _ in range(self._count(1200))]
        paraphrases = self._ask(
            [case(s, rng.choice(ask.direct(s, Use.EXAM)[1:])) for s in drawn], pooled=False
        )
        hops = self._closed("two-hop", 400)
        explained = self._closed("long", 600)
        return [
            Row(
                what="facts of the legacy world",
                value=len(facts),
                unit="",
                bar=1000,
                op=Op.AT_LEAST,
            ),
            Row(what="facts that can change", value=changeable, unit="", bar=220, op=Op.AT_LEAST),
            *percent("recall, exact", share(plain), 99, 99.8, f"{len(plain)} facts"),
            *percent(
                "recall, paraphrases", share(paraphrases), 97, 99, f"{len(paraphrases)} questions"
            ),
            *percent("two-hop, closed book", share(hops), 97, 99, f"{len(hops)} questions"),
            *percent(
                "explanations, closed book",
                share(explained),
                98,
                99.5,
                f"{len(explained)} questions",
            ),
        ]

    def _closed(self, style: str, count: int) -> list[Judged]:
        rng = self._rng("closed", style)
        made = [self.cases.closed_book(style, rng) for _ in range(self._count(count))]
        return self._ask(made, pooled=style == "check")

    # -- open book ---------------------------------------------------------------------------

    def _open(self, style: str, reading: Reading, draw: Draw, count: int) -> list[Judged]:
        rng = self._rng("open", style, reading, draw.__name__)
        return self._ask(
            [self.cases.open_book(style, reading, draw, rng) for _ in range(self._count(count))]
        )

    def _draw(self, style: str) -> Draw:
        return self.cases.in_world_public if style == "two-hop" else self.cases.in_world

    def reading(self) -> list[Row]:
        rows: list[Row] = []
        for style in STYLES:
            judged = self._open(style, OWN, self._draw(style), 120)
            detail = f"{len(judged)} articles, subjects never in an article"
            rows += percent(f"open book, {style}", share(judged), 95, 99, detail)
        for style in STYLES:
            apart = {
                name: self._open(style, reading, self._draw(style), 80)
                for name, reading in HELD.items()
            }
            both = apart["both"] + apart["families"]
            detail = ", ".join(f"{name} {share(judged):.0f}" for name, judged in apart.items())
            rows += percent(
                f"open book, held out, {style}", share(both), 70, 95, f"apart: {detail}"
            )
        return rows + self._unseen()

    def _unseen(self) -> list[Row]:
        styles = [style for style in STYLES if style != "two-hop"]
        own = [j for s in styles for j in self._open(s, OWN, self.cases.unseen, 60)]
        apart = {
            name: [j for s in styles for j in self._open(s, reading, self.cases.unseen, 40)]
            for name, reading in HELD.items()
        }
        held = apart["both"] + apart["families"]
        what = "unseen subjects and names of 2 to 5 pieces"
        return [
            *percent(f"open book, {what}", share(own), 85, 97, _by_style(own)),
            *percent(f"open book, held out, {what}", share(held), 60, 90, _apart(apart)),
        ]

    def off_topic(self) -> list[Row]:
        judged: list[Judged] = []
        for style in STYLES:
            rng = self._rng("off", style)
            made = [self.cases.off_topic(style, rng) for _ in range(self._count(80))]
            judged += self._ask(made)
        detail = f"{len(judged)} questions of all styles"
        return percent("open book, off-topic article", share(judged), 95, 99, detail)

    def refutations(self) -> list[Row]:
        """After the others: pools their open-book outputs with true claims, closed book."""
        self._closed("check", 900)
        outputs = len(self._pool)
        value = round(100 * sum(j.refutes for j in self._pool) / outputs, 2)
        detail = f"of {outputs} outputs"
        rows = [
            Row(what=what, value=value, unit="%", bar=bar, op=Op.AT_MOST, detail=detail)
            for what, bar in (("self-refutation", 1.0), ("self-refutation (goal)", 0.3))
        ]
        enough = Row(
            what="outputs looked at for self-refutation",
            value=outputs,
            unit="",
            bar=3000,
            op=Op.AT_LEAST,
        )
        return [*rows, enough]

    def skills(self) -> list[Row]:
        found = run_tasks(self.engine, limit=8 if self.quick else None)
        groups = found.by_group()
        worst = min(100 * right / total for right, total in groups.values())
        detail = ", ".join(f"{name} {right}/{total}" for name, (right, total) in groups.items())
        items = Row(
            what="items of the skills suite",
            value=len(found.items),
            unit="",
            bar=400,
            op=Op.AT_LEAST,
        )
        return [*percent("skills, the worst", worst, 95, 99, detail), items]


def _apart(found: dict[str, list[Judged]]) -> str:
    """What is held out, each alone: which of the two fails?"""
    return "apart: " + ", ".join(f"{name} {share(judged):.0f}" for name, judged in found.items())


def _by_style(judged: Iterable[Judged]) -> str:
    kinds: dict[str, list[Judged]] = {}
    for j in judged:
        kinds.setdefault(j.row.kind.value, []).append(j)
    return ", ".join(f"{kind} {share(found):.0f}" for kind, found in kinds.items())
