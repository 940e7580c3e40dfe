"""The matcher of `knowledge.answers`: names, sentences, the committed answer."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.answers import (
    conclusion,
    final_answer,
    find_mentions,
    mentions,
    normalise,
    safe_surnames,
    sentences,
)

WORDS = st.text(alphabet=string.ascii_letters + "äöüçéñşžłøÅß", min_size=3, max_size=10)
NAMES = st.lists(WORDS, min_size=2, max_size=3).map(lambda ws: " ".join(w.title() for w in ws))


@given(st.text())
def test_normalise_is_stable(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once == once.strip()


@given(NAMES, st.sampled_from([" ", ", ", ". ", "'s ", " (", '" ', "\n", "’s "]))
def test_a_name_is_found_where_it_stands(name: str, after: str) -> None:
    text = f"So it is {name}{after}as they say"
    found = find_mentions(text, [name])
    assert (9, 9 + len(name)) in found


@given(NAMES, WORDS.map(str.lower))
def test_a_name_is_not_found_inside_words(name: str, letters: str) -> None:
    glued = f"x{name}{letters}"
    assert find_mentions(glued, [name]) == []


@given(NAMES)
def test_case_and_diacritics_do_not_matter(name: str) -> None:
    assert mentions(f"It is {name.upper()}.", [name])
    assert mentions(f"It is {normalise(name)}.", [name])


@given(st.text())
def test_sentences_are_pieces_of_the_text(text: str) -> None:
    at = 0
    for sentence in sentences(text):
        at = text.index(sentence, at) + len(sentence)
    assert final_answer(text) in text


@given(st.text(), NAMES)
def test_mentions_lie_inside_the_text(text: str, name: str) -> None:
    whole = f"{text} {name} {text}"
    for start, end in find_mentions(whole, [name]):
        assert 0 <= start < end <= len(whole)


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("Volodymyr Zelensky", "Volodymyr Zelenskyy", True),
        ("Volodymyr Zelenskiy", "Volodymyr Zelensky", True),
        ("Angela Mueller", "Angela Müller", True),
        ("Angela Muller", "Angela Müller", True),
        ("J.K. Rowling", "J. K. Rowling", True),
        ("JK Rowling", "J.K. Rowling", True),
        ("John F. Kennedy", "John Kennedy", True),
        ("Jean Pierre Raffarin", "Jean-Pierre Raffarin", True),
        ("Sinead O’Connor", "Sinéad O'Connor", True),
        ("Emmanuel Macron’s party", "Emmanuel Macron", True),
        ("1. FC Koeln", "1. FC Köln", True),
        ("Gambia", "The Gambia", True),
        ("the US is", "US", True),
        ("tell us more", "US", False),
        ("who is it", "WHO", False),
        ("IT is", "IT", True),
        ("it is", "IT", False),
        ("Li won", "Li", True),
        ("like", "Li", False),
        ("Parisian life", "Paris", False),
        ("Paris-based", "Paris", True),
        ("Smith-Jones", "Smith", False),
        ("Dorin Recan", "Dorin Recean", False),
        ("Dorin Rec", "Dorin Recean", False),
        ("東京は首都です", "東京", True),
        ("Кишинёв", "Кишинев", True),
        ("", "Dorin Recean", False),
    ],
)
def test_accepted_forms(text: str, name: str, found: bool) -> None:
    assert mentions(text, [name]) is found


def test_the_longest_name_wins() -> None:
    text = "The club is Real Madrid."
    assert find_mentions(text, ["Madrid", "Real Madrid"]) == [(12, 23)]


def test_offsets_survive_letters_that_fold_to_several() -> None:
    text = "Großer Æther: Dorin Recean."
    ((start, end),) = find_mentions(text, ["Dorin Recean"])
    assert text[start:end] == "Dorin Recean"


@pytest.mark.parametrize(
    ("names", "others", "expected"),
    [
        (("Dorin Recean",), ("Natalia Gavrilița",), ("Recean",)),
        (("Ursula von der Leyen",), (), ("von der Leyen", "Leyen")),
        (("Martin Luther King Jr.",), (), ("King",)),
        (("George Bush",), ("Jeb Bush",), ()),
        (("Xi Li",), (), ()),
        (("Recean",), (), ()),
    ],
)
def test_safe_surnames(
    names: tuple[str, ...], others: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert safe_surnames(names, others) == expected


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Dorin Recean.", "Dorin Recean."),
        ("Ann was it until 2023. Bob has been it since. So it is Bob.", "it is Bob."),
        ("Ann was it. So no, not Ann: Bob is it.", "no, not Ann: Bob is it."),
        ("The answer is Bob.", "Bob"),
        ("**Answer:** Bob", "Bob"),
        ("Thus \\boxed{Bob}.", "Bob"),
        ("The answer is Ann. Wait. The answer is Bob.", "Bob"),
        ("Bob. Moldova is a country. Ann was it until 2023.", "Bob."),
        ("Ann was it until 2022. Bob has been it since 2023.", "Bob has been it since 2023."),
        ("The head is Bob. He replaced Ann in 2023.", "The head is Bob."),
        ("So far nobody knows. It is Bob.", "So far nobody knows."),
        ("", ""),
        ("...", ""),
    ],
)
def test_final_answer(text: str, answer: str) -> None:
    assert final_answer(text) == answer


def test_a_conclusion_is_marked() -> None:
    assert conclusion("Bob is it.") is None
    text = "Ann was it. Therefore, Bob is it."
    span = conclusion(text)
    assert span is not None
    assert text[slice(*span)] == "Bob is it."


def test_sentences_know_abbreviations() -> None:
    text = "Dr. A. B. Smith left. The club is 1. FC Köln. U.S. law holds. So no. "
    text += "It is Apple Inc. Yes?"
    assert sentences(text) == [
        "Dr. A. B. Smith left.",
        "The club is 1. FC Köln.",
        "U.S. law holds.",
        "So no.",
        "It is Apple Inc.",
        "Yes?",
    ]
    assert sentences("The answer is B. Dorin won.") == ["The answer is B.", "Dorin won."]
    assert sentences("1. One.\n2. Two.") == ["1. One.", "2. Two."]
