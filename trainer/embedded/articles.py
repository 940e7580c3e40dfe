"""Articles about changes, in constructions as wide as `grammar/articles.toml` has them.

Owns how sentences become an article (order, headline, lists, several changes, bystanders, pronouns)
and what a reader of it can know. The drafter's own prose is `knowledge.rendering`'s.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from knowledge.facts import Entity
from knowledge.rendering import Story, capital, narrative_prose, tidy
from trainer.embedded import grammar, lexicon
from trainer.embedded.grammar import Family, Form
from trainer.embedded.names import NameMaker

_ASIDE = re.compile("\x01([^\x02]*)\x02('s)?(?=(\\s*[,.;:!?)]|\\s*$)?)")
"""An aside behind a name, between marks: gone before `'s`, without its last comma before a sign."""
_ASIDES = 0.2
"""How often the first mention of a person is followed by who that is."""
_SPACES = re.compile(r"\s+(?=[,.;:!?])|(?<= ) +")
_TRIES = 6
_PRONOUNS = {
    "he": ("he", "she"),
    "him": ("him", "her"),
    "his": ("his", "her"),
}


class _Voice:
    """Fills the slots of one story's sentences and notes what they tell."""

    def __init__(self, story: Story, names: NameMaker, rng: random.Random) -> None:
        self.story, self.names, self.rng = story, names, rng
        self.told: set[str] = set()
        self._last = ""
        self._number = 2
        self._gender = {who: int(rng.random() < 0.5) for who in ("new", "old", "s")}
        self._bystanders: dict[str, str] = {}

    def slot(self, name: str) -> str:
        made = _SLOTS.get(name)
        if made is not None:
            return made(self)
        if name.startswith("o") and name[1:] in _PRONOUNS:
            return self._pronoun("old", name[1:])
        if name in _PRONOUNS:
            return self._pronoun("new", name)
        if name.startswith("s") and name[1:] in _PRONOUNS:
            return _PRONOUNS[name[1:]][self._gender["s"]]
        raise grammar.BadTemplate(f"no slot {{{name}}} in articles")

    def holds(self, guard: str) -> bool:
        story = self.story
        return {
            "since": story.since is not None,
            "until": story.until is not None and story.previous is not None,
        }[guard]

    def _entity(self, who: str) -> Entity:
        entity = {"s": self.story.subject, "new": self.story.holder, "old": self.story.previous}[
            who
        ]
        assert entity is not None
        return entity

    def mention(self, who: str) -> str:
        """The full label the first time, later at times the surname or a noun."""
        entity = self._entity(who)
        known = who in self.told
        self.told.add(who)
        person = entity.kind == "person"
        if person:
            self._last = who
        if known and self.rng.random() < 0.4:
            if person:
                short = lexicon.surname(entity.label)
                others = [e.label for e in (self.story.previous, self.story.holder) if e]
                if sum(short in label for label in others) == 1 or who == "s":
                    return short
            elif who == "s":
                return lexicon.nominal(entity, self.rng) or entity.label
        if person and who != "s" and not known and self.rng.random() < _ASIDES:
            return f"{entity.label}{self._aside()}"
        return entity.label

    def _aside(self) -> str:
        """Who somebody is, between marks that `_tidied` takes out again."""
        last = self._last
        form = self.rng.choice(grammar.load("lexicon").lists["aside"])
        text = grammar.render(form, self.rng, self.slot, self.holds)
        self._last = last
        return f"\x01, {text}\x02"

    def _pronoun(self, who: str, form: str) -> str:
        person = who in self.told and self._entity(who).kind == "person"
        if person and self._last == who:
            return _PRONOUNS[form][self._gender[who]]
        return self.mention(who) + ("'s" if form == "his" else "")

    def bystander(self, key: str) -> str:
        self._last = key
        if key not in self._bystanders:
            self._bystanders[key] = self.names.draw("person", self.rng)
        return self._bystanders[key]

    @property
    def bystanders(self) -> tuple[str, ...]:
        return tuple(self._bystanders.values())

    def invented(self, kind: str) -> str:
        return self.names.draw(kind, self.rng)

    def number(self) -> str:
        self._number = self.rng.randint(2, 60)
        return str(self._number)

    def date(self, which: str, *, on: bool) -> str:
        date = self.story.since if which == "since" else self.story.until
        if date is None:  # a form that needs it was drawn without it
            raise _Missing
        self.told.add(which)
        return lexicon.on_date(date, self.rng) if on else lexicon.dated(date, self.rng)

    def cause(self) -> str:
        if self.story.cause is None:
            raise _Missing
        self.told.add("cause")
        return self.story.cause

    def verb(self) -> str:
        said = lexicon.cause_verb(self.story.cause, self.rng)
        if said is None:
            raise _Missing
        self.told.add("cause")
        gender = self._gender["old"]
        age = str(self.rng.randint(41, 88))
        return said.replace("{ohis}", _PRONOUNS["his"][gender]).replace("{age}", age)

    def sentence(self, family: Family) -> str | None:
        """One sentence of the family; None where the story lacks what the drawn form needs."""
        before = set(self.told)
        try:
            form = self.rng.choice(family.forms)
            text = grammar.render(form, self.rng, self.slot, self.holds)
        except _Missing:
            self.told = before
            return None
        return tidy(capital(_SPACES.sub("", _ASIDE.sub(_closed, text)).strip()))

    def as_told(self, *, remembered: bool) -> Story:
        """The story as a reader knows it; who was `remembered` need not be named."""
        story, told = self.story, self.told
        previous = story.previous if "old" in told or remembered else None
        return replace(
            story,
            since=story.since if "since" in told else None,
            previous=previous,
            until=story.until if "until" in told and previous else None,
            cause=story.cause if "cause" in told and previous else None,
        )


def _closed(match: re.Match[str]) -> str:
    if match[2]:
        return "'s"
    return match[1] if match[3] is not None else f"{match[1]},"


class _Missing(Exception):
    """The story lacks what a form needs."""


_SLOTS: dict[str, Callable[[_Voice], str]] = {
    "s": lambda v: v.mention("s"),
    "new": lambda v: v.mention("new"),
    "old": lambda v: v.mention("old"),
    "title": lambda v: lexicon.title(v.story, v.rng),
    "role": lambda v: lexicon.role(v.story, v.mention("s"), v.rng),
    "x": lambda v: v.bystander("x"),
    "y": lambda v: v.bystander("y"),
    "place": lambda v: v.invented("city"),
    "org": lambda v: v.invented(v.rng.choice(("company", "club"))),
    "n": lambda v: v.number(),
    "m": lambda v: str(v._number + v.rng.randint(1, 40)),
    "year": lambda v: str(v.rng.randint(1995, 2020)),
    "age": lambda v: str(v.rng.randint(24, 78)),
    "future": lambda v: str(v.rng.randint(2026, 2031)),
    "weekday": lambda v: v.rng.choice(lexicon.WEEKDAYS),
    "since": lambda v: v.date("since", on=False),
    "until": lambda v: v.date("until", on=False),
    "on_since": lambda v: v.date("since", on=True),
    "on_until": lambda v: v.date("until", on=True),
    "cause": lambda v: v.cause(),
    "verb": lambda v: v.verb(),
}


class ArticleWriter:
    """Writes articles; deterministic in the given generator."""

    def __init__(self, names: NameMaker) -> None:
        self.names = names
        self._grammar = grammar.load("articles")

    def _family(self, place: str, about: str, rng: random.Random, *, held: bool = False) -> Family:
        found = self._grammar.of(place, about, held=held) or self._grammar.of(place, about)
        return found[int(rng.random() * len(found))]

    def _some(
        self, voice: _Voice, place: str, about: str, most: int, *, held: bool = False
    ) -> list[str]:
        """Up to `most` different sentences of a place."""
        count = voice.rng.randint(0, most)
        made = (
            voice.sentence(self._family(place, about, voice.rng, held=held)) for _ in range(count)
        )
        return list(dict.fromkeys(text for text in made if text))

    def change(
        self,
        story: Story,
        rng: random.Random,
        *,
        held: bool = False,
        room: int = 3,
        remembered: bool = False,
    ) -> tuple[str, Story, tuple[str, ...]]:
        """The change in prose, as it is told there, and the bystanders named.

        `room` bounds the sentences of each side matter; `held` draws the change itself and its
        cause from held-out families. Stories without `previous` are told as no change.
        """
        for _ in range(_TRIES):
            voice = _Voice(story, self.names, rng)
            text = self._change(voice, held=held, room=room)
            if text and story.holder.label in text and story.subject.label in text:
                return text, voice.as_told(remembered=remembered), voice.bystanders
        prose, told = narrative_prose(story, rng, held=held)
        return prose, told, ()

    def _change(self, voice: _Voice, *, held: bool, room: int) -> str | None:
        rng, story = voice.rng, voice.story
        about = lexicon.about(story)
        headline = None
        if story.previous and rng.random() < 0.25:
            headline = voice.sentence(self._family("head", about, rng))
        place = "main" if story.previous else "stay"
        first = self._some(voice, "noise", "", 1) if rng.random() < 0.1 * room else []
        early = first + (
            self._some(voice, "old", about, 1) if story.previous and rng.random() < 0.2 else []
        )
        main = voice.sentence(self._family(place, about, rng, held=held))
        if main is None:
            return None
        rest: list[str] = []
        if story.previous:
            rest += self._why(voice, about, held=held)
            rest += self._some(voice, "old", about, min(room, 2))
        rest += self._some(voice, "more", about, room)
        rest += self._some(voice, "noise", "", room)
        if rng.random() < 0.5:
            rng.shuffle(rest)
        body = " ".join([*early, main, *rest])
        if not headline:
            return body
        end = "" if headline[-1] in ".?!" else rng.choice((".", ".", " –", "\n"))
        return f"{headline}{end} {body}"

    def _why(self, voice: _Voice, about: str, *, held: bool) -> list[str]:
        rng, story = voice.rng, voice.story
        if story.cause is None:
            return self._some(voice, "unknown", about, 1)
        if rng.random() < 0.1:
            return []
        verbal = about == "office" and lexicon.has_verb(story.cause) and rng.random() < 0.5
        family = self._family("verb" if verbal else "cause", about, rng, held=held and not verbal)
        said = voice.sentence(family)
        return [said] if said else []

    def listing(self, stories: Sequence[Story], rng: random.Random) -> tuple[str, list[Story]]:
        """Several changes as entries of a list, and each as it is told there."""
        entries, told = [], []
        for story in stories:
            voice = _Voice(story, self.names, rng)
            entry = voice.sentence(self._family("record", lexicon.about(story), rng))
            entries.append(entry or "")
            told.append(voice.as_told(remembered=False))
        sign = rng.choice((". ", "; ", " | ", "\n", "\n- "))
        heading = rng.choice(("Changes at a glance: ", "In brief: ", "Who is new: ", "", "List: "))
        return heading + sign.join(e.rstrip(".") for e in entries) + ".", told

    def link(self, rng: random.Random) -> str:
        family = self._family("link", "", rng)
        form: Form = rng.choice(family.forms)
        return grammar.render(form, rng, str, lambda _: False)
