"""More wordings of the plain question, from a model, each checked by rules.

Owns the rules that a wording must pass: it asks for the same role of the same subject at present,
gives nothing away, and is none that exists. They go by a closed vocabulary, so what they refuse is
often a fair question too; what they let through is no other. Wordings of the model are for training
only: the examination is ours, and nothing that is trained may be in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from agents.drafting.chat import JsonChat
from agents.evidence.hygiene import objections
from agents.prompts import prompt
from knowledge.answers import mentions, safe_surnames
from knowledge.properties import CATALOGUE
from knowledge.questions import Question, QuestionKind, Use, direct
from knowledge.rendering import Story, short_answer
from knowledge.wordings import own_wordings

LEAST_WORDS, MOST_WORDS = 4, 24
"""Words of a question, those of the subject apart."""

_PLAIN_WORDS = """
a an and any are as at be by can could currently do does for from give has holding holds i if in is
it its know like me moment may might name now of on one or person please position present presently
s say serves serving tell that the these this time to today want what which who whom whose with
would you your
"""
_PLAIN = frozenset(_PLAIN_WORDS.split())
"""Words that may stand in any question and change nothing about what it asks."""

_WORD = re.compile(r"[^\W_]+")


class Wordings(BaseModel):
    """What a model gives back."""

    model_config = ConfigDict(extra="ignore")

    questions: list[str] = Field(max_length=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paraphrases:
    """The questions that passed, and those that did not, each with the reason."""

    questions: tuple[Question, ...]
    refused: tuple[str, ...]
    usage: Mapping[str, str]


class Paraphraser:
    """Asks a model for `wanted` more wordings of a unit's plain question."""

    def __init__(self, chat: JsonChat, wanted: int) -> None:
        self._chat = chat
        self.wanted = wanted

    async def more(
        self, story: Story, asked: Sequence[Question], *, version: int = 0
    ) -> Paraphrases:
        """At most `wanted` training questions beside those that are `asked`. Raises EndpointDown,
        EndpointRefused, AnswerUnusable or BudgetSpent."""
        text = prompt("paraphrase")
        known = [q.text for q in asked if q.use is Use.TRAIN and q.kind is QuestionKind.DIRECT]
        given = {
            "subject": story.subject.label,
            "role": story.role,
            "known": known,
            "wanted": self.wanted,
        }
        answer = await self._chat.ask(text, given, Wordings, version=100 * version)
        taken: list[Question] = []
        refused: list[str] = []
        for candidate in answer.value.questions:
            wording = " ".join(candidate.split())
            if found := objection(wording, story, (*asked, *taken)):
                refused.append(f"{found}: {wording[:120]}")
            elif len(taken) < self.wanted:
                taken.append(_question(story, wording))
        usage = {"prompt": text.digest, **self._chat.parameters(), **answer.usage.texts()}
        return Paraphrases(questions=tuple(taken), refused=tuple(refused), usage=usage)


def objection(wording: str, story: Story, asked: Sequence[Question]) -> str:
    """Why a wording may not be asked; empty when nothing speaks against it."""
    subject = story.subject.label
    if objections(wording):
        return "no plain question"
    if not wording.endswith("?") or wording.count("?") != 1 or re.search(r"[.!]\s", wording):
        return "not one question"
    if wording.count(subject) != 1:
        return "does not name the subject once"
    answers = [n for e in (story.holder, story.previous) if e for n in e.names]
    if mentions(wording, (*answers, *safe_surnames(answers, (subject,)))):
        return "gives an answer away"
    words = _words(wording.replace(subject, " "))
    if not LEAST_WORDS <= len(words) <= MOST_WORDS:
        return "too short or too long"
    telling = [word for word in words if word not in _PLAIN]
    if not any(set(telling) == needed for needed in _telling(story.property)):
        return "asks in words that are not those of the property"
    if _bag(wording) in {_bag(q.text) for q in (*asked, *direct(story, Use.HELD))}:
        return "is asked already"
    return ""


def _question(story: Story, wording: str) -> Question:
    return Question(
        kind=QuestionKind.PARAPHRASE,
        use=Use.TRAIN,
        text=wording,
        answers=story.holder.names,
        reference=short_answer(story.holder.label),
        legacy=story.previous.names if story.previous else (),
        cause=story.cause,
        item=f"{story.subject.id}:{story.property}",
    )


@lru_cache(maxsize=256)
def _telling(property_id: str) -> tuple[frozenset[str], ...]:
    """The sets of words by which the role and each of the property's own wordings ask for it: one
    of them is to be there whole, and nothing else that tells."""
    forms = (CATALOGUE[property_id].wording.role, *own_wordings(property_id))
    found = (
        frozenset(w for w in _words(re.sub(r"\{\w+\}", " ", form)) if w not in _PLAIN)
        for form in forms
    )
    return tuple(dict.fromkeys(words for words in found if words))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _bag(text: str) -> tuple[str, ...]:
    """Equal for wordings that differ in order and punctuation alone."""
    return tuple(sorted(_words(text)))
