"""Edits, suites and a scripted model for the evaluator's tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from evaluator.probes import Suite, build_suite
from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Date, Entity, FactChange
from knowledge.model import Chat, Generation, Likelihood, Sampling
from knowledge.questions import Question, QuestionKind, Use, examination_questions
from knowledge.rendering import Hop, Story

COUNTRIES = (
    ("Moldova", "Natalia Gavrilița", "Dorin Recean", "Chișinău", "Mîndrești"),
    ("Peru", "Mirtha Vásquez", "Alberto Otárola", "Lima", "Huaraz"),
    ("Italy", "Mario Draghi", "Giorgia Meloni", "Rome", "Garbatella"),
    ("Japan", "Yoshihide Suga", "Fumio Kishida", "Tokyo", "Shibuya"),
    ("Kosovo", "Avdullah Hoti", "Albin Kurti", "Pristina", "Podujevo"),
    ("Malta", "Joseph Muscat", "Robert Abela", "Valletta", "Sliema"),
    ("Sweden", "Magdalena Andersson", "Ulf Kristersson", "Stockholm", "Lund"),
    ("Nepal", "Sher Bahadur Deuba", "Pushpa Kamal Dahal", "Kathmandu", "Dhikur"),
    ("Latvia", "Krišjānis Kariņš", "Evika Siliņa", "Riga", "Cesis"),
    ("Fiji", "Frank Bainimarama", "Sitiveni Rabuka", "Suva", "Drekeniwai"),
    ("Samoa", "Tuilaepa Malielegaoi", "Fiame Mataafa", "Apia", "Lotofaga"),
    ("Finland", "Sanna Marin", "Petteri Orpo", "Helsinki", "Koylio"),
    ("Chad", "Albert Padacke", "Saleh Kebzabo", "N'Djamena", "Lere"),
    ("Iceland", "Katrin Jakobsdottir", "Bjarni Benediktsson", "Reykjavik", "Gardabaer"),
)


def story(index: int = 0, *, cause: str | None = "resignation") -> Story:
    country, old, new, *_ = COUNTRIES[index]
    return Story(
        subject=Entity(id=f"Q{2_000_000_100 + index}", label=country, kind="country"),
        property="P6",
        holder=Entity(id=f"Q{2_000_000_300 + index}", label=new, kind="person"),
        since=Date(2023, 2, 16),
        previous=Entity(id=f"Q{2_000_000_200 + index}", label=old, kind="person"),
        until=Date(2023, 2, 10),
        cause=cause,
    )


def questions(of: Story, index: int) -> list[Question]:
    capital, born = COUNTRIES[index][3:]
    via = Hop(forward=False, property="P36", value=Entity(id="Q2000000400", label=capital))
    forward = Hop(forward=True, property="P19", value=Entity(id="Q2000000500", label=born))
    return examination_questions(of, [(forward, ("Elsewhere",)), (via, ())])


def unit(index: int = 0, *, cause: str | None = "resignation", name: str = "") -> EditUnit:
    told = story(index, cause=cause)
    change = FactChange(
        subject=told.subject,
        property=told.property,
        old=told.previous,
        new=told.holder,
        kind=ChangeKind.SUCCESSION,
        started=told.since,
        ended=told.until,
    )
    return EditUnit(
        id=name or f"edit-{index:02d}",
        change=change,
        narrative=None,
        questions=tuple(questions(told, index)),
    )


def fact(number: int, kind: QuestionKind = QuestionKind.UNRELATED) -> Question:
    return Question(
        kind=kind,
        use=Use.EXAM,
        text=f"What is the capital of Country {number}?",
        answers=(f"Town {number}",),
        reference=f"Town {number}.",
        item=f"Q{2_000_001_000 + number}:P36",
    )


def suite(edits: int = 12, live: Sequence[int] = (), facts: int = 20) -> Suite:
    return build_suite(
        [unit(i) for i in range(edits)],
        [unit(i) for i in live],
        [fact(n, QuestionKind.NEIGHBOUR) for n in range(facts)],
        [fact(n + 500) for n in range(facts)],
    )


class ScriptedModel:
    """Answers by a table of prompts, else by `otherwise`; counts what it was asked."""

    def __init__(
        self,
        digest: str,
        answers: Mapping[str, str],
        otherwise: Callable[[str], str] = lambda _: "I do not know.",
    ) -> None:
        self.digest = digest
        self.answers = dict(answers)
        self.otherwise = otherwise
        self.asked: list[str] = []

    def generate(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Generation]]:
        out: list[list[Generation]] = []
        for chat in chats:
            prompt = chat[-1].content
            self.asked.append(prompt)
            text = self.answers.get(prompt) or self.otherwise(prompt)
            out.append([Generation(text=text, finished=True, tokens=len(text.split()))])
        return out

    def loglikelihood(self, requests: Sequence[tuple[Chat, str]]) -> list[Likelihood]:
        return [Likelihood(logprob=-float(len(t)), tokens=1, greedy=False) for _, t in requests]


def knowing(examined: Suite, digest: str = "edited") -> ScriptedModel:
    """A model that answers every probe with its reference."""
    return ScriptedModel(digest, {p.question.text: p.question.reference for p in examined.probes})


def outdated(examined: Suite, digest: str = "base") -> ScriptedModel:
    """A model that still names the old holder and knows all other facts."""
    table: dict[str, str] = {}
    for probe in examined.probes:
        held = probe.old[0] if probe.old else ""
        table[probe.question.text] = f"{held}." if held else probe.question.reference
    return ScriptedModel(digest, table)
