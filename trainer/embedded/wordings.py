"""Questions in wordings as wide as `grammar/wordings.toml` has them, with their right answers.

Owns how a question is put beyond the wordings of `knowledge.questions`; the answers' forms are
`knowledge.rendering`'s, the same for every wording of a style.
"""

from __future__ import annotations

import random

from knowledge.facts import Entity
from knowledge.properties import CATALOGUE
from knowledge.rendering import (
    HOP_VIA,
    Hop,
    Story,
    before_answer,
    capital,
    check_answer,
    choice_answer,
    explain_answer,
    short_answer,
    tidy,
    two_hop_answer,
    why_answer,
)
from trainer.embedded import grammar, lexicon

STYLES = ("direct", "cloze", "explain", "why", "check", "before", "two_hop", "conflict")
"""Styles that have wide wordings; each needs what its function in `knowledge.questions` needs."""

_SPECIFIC = 0.3
"""How often a direct question uses the verb of its property."""


def _fill(place: str, story: Story, rng: random.Random, *, held: bool, **more: str) -> str:
    found = grammar.load("wordings").of(place, "", held=held)
    if lexicon.about(story) == "office":
        found += grammar.load("wordings").of(place, "person", held=held)
    family = found[int(rng.random() * len(found))]
    return _render(rng.choice(family.forms), story, rng, more)


def _render(form: grammar.Form, story: Story, rng: random.Random, more: dict[str, str]) -> str:
    wh = CATALOGUE[story.property].wording.wh

    def slot(name: str) -> str:
        if name in more:
            return more[name]
        if name in ("role", "Role"):
            named = lexicon.role(story, story.subject.label, rng)
            return capital(named) if name == "Role" else named
        return {
            "wh": wh,
            "wh_l": wh.lower(),
            "title": lexicon.title(story, rng),
            "s": story.subject.label,
            "o": story.holder.label,
            "ox": _called(story.holder, story.previous, rng),
            "p": _called(story.previous or story.holder, story.holder, rng),
        }[name]

    text = grammar.render(form, rng, slot, lambda _: False)
    return tidy(capital(" ".join(text.split())))


def _called(entity: Entity, beside: Entity | None, rng: random.Random) -> str:
    """The name, at times a person's surname where the other one does not have it too."""
    short = lexicon.surname(entity.label)
    if entity.kind != "person" or rng.random() < 0.7 or (beside and short in beside.label):
        return entity.label
    return short


def question(
    style: str,
    story: Story,
    rng: random.Random,
    *,
    held: bool = False,
    hop: Hop | None = None,
    other: Entity | None = None,
) -> tuple[str, str]:
    """A question of the style in a drawn wording, and its right answer.

    `hop` is for two_hop; `other` the claimed name of check and the second option of conflict.
    Held-out wordings never enter the corpus.
    """
    label = other.label if other else story.holder.label
    match style:
        case "direct":
            return _direct(story, rng, held=held), tidy(short_answer(story.holder.label))
        case "cloze":
            return _fill("cloze", story, rng, held=held), tidy(short_answer(story.holder.label))
        case "explain":
            return _fill("explain", story, rng, held=held), tidy(explain_answer(story))
        case "why":
            return _fill("why", story, rng, held=held), tidy(why_answer(story))
        case "check":
            claim = _claim(story, label, rng)
            text = _fill("check", story, rng, held=held, x_is=claim, x=label)
            right = label in story.holder.names
            claimed = story.holder.label if right else label
            return text, tidy(check_answer(story, claimed))
        case "before":
            return _fill("before", story, rng, held=held), tidy(before_answer(story))
        case "two_hop":
            assert hop is not None
            return _two_hop(story, hop, rng, held=held), tidy(two_hop_answer(story, hop))
        case "conflict":
            return _conflict(story, label, rng)
    raise ValueError(f"{style!r} is no style: take one of {', '.join(STYLES)}")


def _direct(story: Story, rng: random.Random, *, held: bool) -> str:
    lists = grammar.load("wordings").lists
    if not held and rng.random() < _SPECIFIC:
        for kind, frame in (("ask", "ask_frame"), ("team", "team_frame")):
            asks = lists.get(f"{kind}.{story.property}")
            if asks:
                q = _render_part(rng.choice(asks), story.subject.label, rng)
                more = {"q": q, "Q": capital(q)}
                return _render(rng.choice(lists[frame]), story, rng, more)
    return _fill("direct", story, rng, held=held)


def _render_part(form: grammar.Form, subject: str, rng: random.Random) -> str:
    return grammar.render(form, rng, lambda _: subject, lambda _: False)


def _claim(story: Story, label: str, rng: random.Random) -> str:
    if rng.random() < 0.5 or lexicon.about(story) == "team":
        return story.says("is_", label)
    named = lexicon.role(story, story.subject.label, rng)
    return f"{label} is {named}" if rng.random() < 0.75 else f"{named} is {label}"


def _two_hop(story: Story, hop: Hop, rng: random.Random, *, held: bool) -> str:
    if not hop.forward:
        clue = HOP_VIA[hop.property].format(x=hop.value.label)
        via = CATALOGUE[story.property].wording.role.format(s=clue)
        return _fill("via", story, rng, held=held, role_via=via)
    form = rng.choice(grammar.load("wordings").lists[f"hop.{hop.property}"])
    named = lexicon.role(story, story.subject.label, rng)
    q = grammar.render(form, rng, lambda _: named, lambda _: False)
    return _fill("hop", story, rng, held=held, q=capital(q), q_l=q)


def _conflict(story: Story, other: str, rng: random.Random) -> tuple[str, str]:
    first = rng.random() < 0.5
    a, b = (other, story.holder.label) if rng.random() < 0.5 else (story.holder.label, other)
    place = "choice describe" if first else "choice answer"
    text = _fill(place, story, rng, held=False, a=a, b=b)
    return text, tidy(choice_answer(story, describe_first=first))


def pair_document(
    pairs: list[tuple[str, str]], rng: random.Random
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Keys with their values in prose or a list, and questions for two of them and for a name."""
    lists = grammar.load("wordings").lists
    one = rng.choice(lists["pair"]) if rng.random() < 0.4 else None

    def fill(form: grammar.Form, key: str, value: str) -> str:
        return capital(grammar.render(form, rng, {"k": key, "v": value}.__getitem__, _never))

    lines = [fill(one or rng.choice(lists["pair"]), key, value) for key, value in pairs]
    article = tidy(rng.choice((" ", " ", "\n")).join(lines))
    asked = rng.sample(pairs, min(3, len(pairs)))
    found = [(fill(rng.choice(lists["pair_question"]), k, v), tidy(f"{v}.")) for k, v in asked]
    key, value = rng.choice(pairs)
    found.append((tidy(fill(rng.choice(lists["repeat"]), key, value)), tidy(f"{value}.")))
    return article, tuple(dict(found).items())


def _never(_: str) -> bool:
    return False
