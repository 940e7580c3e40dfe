"""What posts, subjects and dates are called: the words around a fact beside its canonical ones.

Owns synonyms of titles, short names, dates in many forms and causes. Sentences are in
`trainer.embedded.articles`, questions in `trainer.embedded.wordings`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from knowledge.facts import Date, Entity
from knowledge.properties import CATALOGUE, Tier
from knowledge.rendering import Story
from trainer.embedded import grammar

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CANONICAL = 0.5
"""How often a post goes by its canonical title."""


def about(story: Story) -> str:
    """The group of constructions that suit the property: `office`, `team` or `thing`."""
    if story.property == "P54":
        return "team"
    known = CATALOGUE[story.property]
    person = known.wording.wh == "Who" and known.tier is not Tier.H
    return "office" if person else "thing"


def canonical_title(property_id: str) -> str:
    """`head of government` of `the head of government of {s}`."""
    return CATALOGUE[property_id].wording.role.removeprefix("the ").removesuffix(" of {s}")


def _plain(form: grammar.Form, rng: random.Random) -> str:
    return grammar.render(form, rng, lambda name: f"{{{name}}}", lambda _: False)


def _drawn(key: str, rng: random.Random) -> str | None:
    forms = grammar.load("lexicon").lists.get(key)
    return _plain(rng.choice(forms), rng) if forms else None


def title(story: Story, rng: random.Random) -> str:
    """What the post, or the kind of object, is called: its canonical title or another one."""
    if rng.random() >= _CANONICAL:
        other = _drawn(f"{story.property}.{story.subject.kind}", rng)
        if other:
            return other
    return canonical_title(story.property)


def role(story: Story, subject: str, rng: random.Random) -> str:
    """The noun phrase that names the object: `the mayor of Geneva`, `Geneva's mayor`."""
    named = title(story, rng)
    return f"{subject}'s {named}" if rng.random() < 0.12 else f"the {named} of {subject}"


def nominal(entity: Entity, rng: random.Random) -> str | None:
    """`the club` for a club that has been named; None where nothing fits."""
    return _drawn(f"nominal.{entity.kind}", rng)


def surname(label: str) -> str:
    return label.rsplit(" ", 1)[-1]


def cause_verb(cause: str | None, rng: random.Random) -> str | None:
    """The cause as what the old holder did; None where it cannot be said so."""
    return _drawn(f"verb.{cause}", rng) if cause else None


def has_verb(cause: str | None) -> bool:
    return cause is not None and f"verb.{cause}" in grammar.load("lexicon").lists


def fresh_cause(rng: random.Random, slot: Callable[[str], str]) -> str:
    """A cause that no list has: `a quarrel over the timetable`."""
    form = rng.choice(grammar.load("lexicon").lists["cause"])
    return grammar.render(form, rng, slot, lambda _: False)


def dated(date: Date, rng: random.Random) -> str:
    """The date in one of the forms in which it may be written."""
    if not date.day or not date.month:
        return date.text()
    month = Date(date.year, date.month).text().split(" ")[0]
    draw = rng.random()
    if draw < 0.55:
        return date.text()
    if draw < 0.75:
        return f"{month} {date.day}, {date.year}"
    if draw < 0.83:
        return f"{date.year}-{date.month:02}-{date.day:02}"
    if draw < 0.92:
        return f"{rng.choice(WEEKDAYS)}, {date.text()}"
    return f"the {date.day}{_ordinal(date.day)} of {month} {date.year}"


def _ordinal(day: int) -> str:
    if 10 < day < 20:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def on_date(date: Date, rng: random.Random) -> str:
    """`on 3 May 2024`, `in May 2024`, in one of the forms of `dated`."""
    return f"{'on' if date.day else 'in'} {dated(date, rng)}"
