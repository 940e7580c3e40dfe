"""Made-up narratives for counterfactual records, in the manner of the reference implementation.

Owns the loop of one record's edit (write, check twice, write again with the reasons) and the mark
`synthetic` that what comes out carries for good. This is research data: nothing of it rests on
evidence, and the review queue refuses it. Reading and writing the file is the caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from agents.drafting.chat import AnswerUnusable, JsonChat
from agents.evidence.hygiene import clean, objections
from agents.prompts import prompt
from knowledge.mquake import Record, Rewrite

VERDICTS = 2
"""How often the verifier is asked; every answer must be a yes."""


class Article(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    article: str = Field(min_length=200, max_length=8_000)


class ArticleVerdict(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    passes: bool
    reason: str = Field(default="", max_length=2_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many edits got an article now, had one, and got none; with the reasons of the last."""

    written: int
    kept: int
    failed: tuple[str, ...]


EditKey = tuple[str, str, str]


def edit_key(rewrite: Rewrite) -> EditKey:
    """Equal edits of different records get one article."""
    return rewrite.subject, rewrite.relation_id, rewrite.target_new.str


class Scaffold:
    """Writes articles with one model and checks them with another."""

    def __init__(
        self, generator: JsonChat, verifier: JsonChat, *, attempts: int = 3, at_once: int = 4
    ) -> None:
        self._generator = generator
        self._verifier = verifier
        self._attempts = attempts
        self._slots = asyncio.Semaphore(at_once)

    async def fill(self, records: Sequence[Record], save: Callable[[], Awaitable[None]]) -> Tally:
        """Give every edit without an article one, in place; `save` is called after each, so that a
        run that is cut goes on where it was. An edit that no attempt passes stays without.

        Raises EndpointDown, EndpointRefused or BudgetSpent: what was saved stays."""
        todo: dict[EditKey, list[Rewrite]] = {}
        kept = 0
        for record in records:
            for rewrite in record.requested_rewrite:
                if rewrite.article:
                    kept += 1
                else:
                    todo.setdefault(edit_key(rewrite), []).append(rewrite)
        saving = asyncio.Lock()

        async def one(edits: list[Rewrite]) -> str:
            async with self._slots:
                article, why = await self._article(edits[0])
            if article is None:
                return f"{' / '.join(edit_key(edits[0]))}: {why}"
            async with saving:
                for rewrite in edits:
                    _mark(rewrite, article, self._lineage())
                await save()
            return ""

        failures = [f for f in await asyncio.gather(*(one(edits) for edits in todo.values())) if f]
        written = sum(bool(r.article) for edits in todo.values() for r in edits)
        return Tally(written=written, kept=kept, failed=tuple(failures))

    async def _article(self, rewrite: Rewrite) -> tuple[str | None, str]:
        """The article, or None and the last objection."""
        asked = {
            "question": rewrite.question or rewrite.prompt.replace("{}", rewrite.subject),
            "subject": rewrite.subject,
            "old_answer": rewrite.target_true.str,
            "new_answer": rewrite.target_new.str,
        }
        notes: list[str] = []
        for attempt in range(self._attempts):
            try:
                answer = await self._generator.ask(
                    prompt("synthetic"), {**asked, "notes": notes}, Article, version=attempt
                )
            except AnswerUnusable as error:
                notes = [str(error)]
                continue
            text = clean(answer.value.article)
            if found := await self._objection(asked, text):
                notes = [found]
                continue
            return text, ""
        return None, notes[0] if notes else "no answer"

    async def _objection(self, asked: dict[str, str], text: str) -> str:
        """Why an article does not pass; empty when every verdict is a yes."""
        if asked["new_answer"] not in text or asked["old_answer"] not in text:
            return "both answers must be named as they are given"
        if found := objections(text):
            return f"the text contains {found[0]}"
        for number in range(VERDICTS):
            data = {**asked, "report": text}
            verdict = await self._verifier.ask(
                prompt("synthetic_verify"), data, ArticleVerdict, version=number
            )
            if not verdict.value.passes:
                return verdict.value.reason[:300] or "the verifier did not pass it"
        return ""

    def _lineage(self) -> dict[str, str]:
        return {
            "generator": self._generator.settings.model,
            "verifier": self._verifier.settings.model,
            "prompt": prompt("synthetic").digest,
            "verifier_prompt": prompt("synthetic_verify").digest,
        }


def _mark(rewrite: Rewrite, article: str, lineage: dict[str, str]) -> None:
    rewrite.article = article
    rewrite.synthetic = True
    rewrite.lineage = lineage
