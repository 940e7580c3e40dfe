"""The corpus of the embedded model: its grammar, what never enters it, and what its answers say."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from knowledge import questions as ask
from knowledge.facts import Date, Entity
from knowledge.questions import Use
from knowledge.rendering import Hop, Story, capital, held_texts
from knowledge.world import World
from trainer.embedded import grammar, wordings
from trainer.embedded.blur import blurred, kept_names
from trainer.embedded.build import MAIN
from trainer.embedded.changes import HELD_SPLITS
from trainer.embedded.corpus import Corpus, Document

SAMPLE = 1500


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(World.load())


@pytest.fixture(scope="module")
def documents(corpus: Corpus) -> list[Document]:
    stream = corpus.stream(7, MAIN)
    return [next(stream) for _ in range(SAMPLE)]


def test_a_template_offers_all_its_alternatives() -> None:
    form = grammar.parse("{a} [is|was|] there<when: in {b}>.")
    rng = random.Random(1)
    made = {grammar.render(form, rng, str.upper, lambda _: True) for _ in range(200)}
    assert made == {f"A {verb} there{at}." for verb in ("is", "was", "") for at in ("", " in B")}
    assert grammar.surfaces(form) == 6
    assert not any(
        "in B" in grammar.render(form, rng, str.upper, lambda _: False) for _ in range(50)
    )


@pytest.mark.parametrize("text", ["{open", "[a|b", "a]", "<since: x", "a|b", "x>"])
def test_a_template_whose_brackets_do_not_match_is_refused(text: str) -> None:
    with pytest.raises(grammar.BadTemplate):
        grammar.parse(text)


def test_an_unknown_macro_is_named() -> None:
    with pytest.raises(grammar.BadTemplate, match="@nothing"):
        grammar.expand("a @nothing", {})


def test_the_grammar_is_wide_and_holds_whole_families_out() -> None:
    articles, asked = grammar.load("articles"), grammar.load("wordings")
    for about, least in (("office", 3000), ("team", 1000), ("thing", 300)):
        main = articles.of("main", about)
        assert sum(grammar.surfaces(form) for family in main for form in family.forms) >= least
        assert articles.of("main", about, held=True)
    for place in ("direct", "cloze", "explain", "why", "check", "before", "hop", "via"):
        assert asked.of(place, "", held=True)
        own = asked.of(place, "")
        known = len(ask.direct(_story(), Use.TRAIN)) + len(ask.direct(_story(), Use.EXAM))
        assert sum(grammar.surfaces(form) for family in own for form in family.forms) >= 2 * known
    direct = asked.of("direct", "") + asked.of("direct", "person")
    assert sum(grammar.surfaces(form) for family in direct for form in family.forms) >= 300


def _story() -> Story:
    return Story(
        subject=Entity(id="Q1", label="Ruritania", kind="country"),
        property="P6",
        holder=Entity(id="Q2", label="Rupert Hentzau", kind="person"),
        since=Date(2024, 5, 7),
        previous=Entity(id="Q3", label="Rudolf Rassendyll", kind="person"),
        until=Date(2024, 5, 2),
        cause="a quarrel over the timetable",
    )


def test_no_row_states_who_came_later(corpus: Corpus, documents: list[Document]) -> None:
    later = [f"{s.new_story().role} is {s.new.object.label}." for s in corpus.world.successions]
    for document in documents:
        for question, answer in document.pairs:
            for claim in later:
                assert claim not in answer, f"{question} -> {answer}"


def test_held_out_subjects_occur_in_no_article(corpus: Corpus) -> None:
    held = {s.subject.label for s in corpus.world.successions if s.split in HELD_SPLITS}
    assert len(held) >= 150
    rng = random.Random(3)
    for _ in range(1000):
        assert corpus.changes.changed(rng).subject.label not in held
        assert corpus.changes.subject(rng).subject.label not in held


def _held_stretches() -> list[str]:
    """The fixed text of held-out constructions and wordings, where there is enough of it."""
    story = _story()
    made = [q.text for q in ask.direct(story, Use.HELD) + ask.cloze(story, Use.HELD)]
    made += [q.text for q in ask.explain(story, Use.HELD) + ask.why(story, Use.HELD)]
    made += [q.text for q in ask.check(story, Use.HELD, story.holder)]
    made += [q.text for q in ask.before(story, Use.HELD)]
    made += [
        q.text
        for q in ask.two_hop(
            story,
            Use.HELD,
            Hop(forward=True, property="P19", value=Entity(id="Q9", label="Strelsau")),
        )
    ]
    names = (
        "[Tt]he head of government of Ruritania|Rupert Hentzau is|Rupert Hentzau|Ruritania|[Ww]ho"
    )
    found = [max(re.sub(names, "|", text).split("|"), key=len).strip() for text in made]
    for name in ("articles", "wordings"):
        families = grammar.load(name).families
        found += [grammar.fixed_text(f) for family in families if family.held for f in family.forms]
    return [text for text in (*found, *held_texts()) if len(text) >= 11]


def test_held_out_constructions_and_wordings_never_enter(documents: list[Document]) -> None:
    held = _held_stretches()
    assert len(held) >= 30
    for document in documents:
        for text in (document.article, *(question for question, _ in document.pairs)):
            found = [stretch for stretch in held if stretch in text]
            assert not found, f"{found[0]!r} in {text!r}"


def test_held_out_families_can_be_drawn(corpus: Corpus) -> None:
    rng = random.Random(5)
    held = _held_stretches()
    hits = 0
    for _ in range(60):
        story = corpus.changes.held_change(rng)
        article, told, _ = corpus.articles.change(story, rng, held=True)
        question, _ = wordings.question("direct", told, rng, held=True)
        hits += any(t in article for t in held) + any(t in question for t in held)
    assert hits >= 60


def test_an_article_tells_what_its_answers_say(corpus: Corpus) -> None:
    rng = random.Random(11)
    for _ in range(400):
        story = corpus.changes.changed(rng)
        article, told, _ = corpus.articles.change(story, rng)
        assert story.holder.label in article and story.subject.label in article
        if told.previous:
            assert told.previous.label in article
        for date in (told.since, told.until):
            assert date is None or str(date.year) in article
        said = told.cause and (told.cause in article.casefold() or told.cause in article)
        spoken = told.cause and f"verb.{told.cause}" in grammar.load("lexicon").lists
        capitalised = told.cause and told.cause[:1].upper() + told.cause[1:] in article
        assert not told.cause or said or spoken or capitalised


def test_no_answer_denies_what_it_asserts(documents: list[Document]) -> None:
    denied = re.compile(r"So no, not (?P<claimed>.+?): (?P<rest>.+)$")
    seen = 0
    for document in documents:
        for _, answer in document.pairs:
            match = denied.search(answer)
            if match:
                seen += 1
                assert match["claimed"] != match["rest"].split(" is ")[0]
                assert f"is {match['claimed']}." not in answer
    assert seen >= 50


def test_verdicts_are_balanced_for_names_of_every_class(corpus: Corpus) -> None:
    real = {entity.label for entity in corpus.world.entities.values()}
    rng = random.Random(2)
    counts: Counter[tuple[str, bool]] = Counter()
    while sum(counts.values()) < 1500:
        document = corpus.article_document(rng)
        for _, answer in document.pairs:
            match = re.search(r"So (?P<verdict>yes, |no, not )(?P<rest>.+)$", answer)
            if not match:
                continue
            yes = match["verdict"] == "yes, "
            claimed = match["rest"].split(": ")[0].split(" is ")[0].split(" plays ")[0]
            counts["known" if claimed in real else "invented", yes] += 1
    for name in ("known", "invented"):
        share = counts[name, True] / (counts[name, True] + counts[name, False])
        assert 0.25 <= share <= 0.75, counts


def test_a_row_has_no_question_twice(documents: list[Document]) -> None:
    for document in documents:
        if document.kind in ("article", "copy"):
            questions = [question for question, _ in document.pairs]
            assert len(set(questions)) == len(questions)


def test_blurred_prose_keeps_names_dates_and_causes() -> None:
    story = Story(
        subject=Entity(id="Q1", label="Bank of Anab", kind="company"),
        property="P169",
        holder=Entity(id="Q2", label="Ana Will", kind="person"),
        previous=Entity(id="Q3", label="Anabel Hope", kind="person"),
        cause="a row over the budget",
    )
    text = (
        "On 3 May 2024, Ana Will followed Anabel Hope at Bank of Anab. Hope had left; the reason "
        "was a row over the budget."
    )
    made = blurred(text, kept_names(story), 1.0, random.Random(2))
    for kept in ("3 May 2024", "Ana Will", "Anabel Hope", "Bank of Anab", "a row over the budget"):
        assert kept in made
    assert not {"followed", "left", "reason"} & set(re.findall(r"\w+", made))
    assert blurred(text, kept_names(story), 0.0, random.Random(2)) == text


def test_blurred_articles_are_told_by_names_alone(corpus: Corpus) -> None:
    rng = random.Random(11)
    for _ in range(200):
        story = corpus.changes.changed(rng)
        text, told = corpus.blurred_claims(story, rng)
        assert story.previous is not None
        for label in (story.holder.label, story.previous.label):
            assert label in text or capital(label) in text
        assert told.holder == story.holder
        if told.until is not None:
            assert told.until.text() in text
