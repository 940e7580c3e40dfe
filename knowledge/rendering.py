"""Stories and their surface forms: narratives, answers and chats in words.

One set for the embedded corpus, the drafter, the trainer, the examination and the gateway, so that
none of them invents a format of its own. Owns how a state of a fact and the change that led to it
are written down; question wordings are in `knowledge.questions`.
"""

from __future__ import annotations

import builtins
import random
import re
from dataclasses import dataclass, replace

from knowledge.facts import Date, Entity
from knowledge.model import Chat, Message
from knowledge.properties import clause, noun_phrase

CAUSE_UNKNOWN = "The reason is not known."
"""How a narrative and an answer say that no evidence states a cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A fact with how it came about: who holds it, since when, after whom, and why the change."""

    subject: Entity
    property: str
    holder: Entity
    since: Date | None = None
    previous: Entity | None = None
    until: Date | None = None
    """When `previous` ended."""
    cause: str | None = None
    """Why `previous` ended, as a short noun phrase (`resignation`); None: not known."""

    @builtins.property
    def role(self) -> str:
        return noun_phrase(self.property, self.subject.label)

    def says(self, tense: str, name: str) -> str:
        """A clause about `name` and this fact; `tense` as in `knowledge.properties.clause`."""
        return clause(self.property, tense, self.subject.label, name)


def capital(text: str) -> str:
    """The text with its first letter upper-cased, the rest untouched."""
    return text[:1].upper() + text[1:]


def tidy(text: str) -> str:
    """The text without the second full stop after a name that ends in one (`Chelsea F.C.`)."""
    return re.sub(r"(?<!\.)\.\.(?!\.)", ".", text)


def on(date: Date) -> str:
    """`on 16 February 2023`, `in February 2023` or `in 2023`."""
    return f"on {date.text()}" if date.day else f"in {date.text()}"


# ---------------------------------------------------------------------------------------------
# Narratives: the four claims in many surface forms
# ---------------------------------------------------------------------------------------------

LEGACY_FORMS = (
    "{was_old}{until}.",
    "Until then, {was_old}.",
    "Before that, {was_old}.",
    "Previously, {was_old}.",
    "{role} used to be {old}.",
    "Earlier, {role} was {old}.",
    "For some time {was_old}.",
    "{was_old}, but this came to an end{at_until}.",
    "The time of {old} ended{at_until}.",
    "{left_old}{at_until}.",
)
CAUSE_FORMS = (
    "The reason was {cause}.",
    "The cause was {cause}.",
    "This came about through {cause}.",
    "It happened because of {cause}.",
    "The change followed {cause}.",
    "Behind the change was {cause}.",
    "What led to it was {cause}.",
    "It was a case of {cause}.",
)
UNKNOWN_CAUSE_FORMS = (
    CAUSE_UNKNOWN,
    "No reason is stated.",
    "Why this happened is not recorded.",
    "The sources give no reason.",
)
TRANSITION_FORMS = (
    "{at_since_comma}{became_new}.",
    "{became_new}{at_since}.",
    "{new} followed {old}{at_since}.",
    "{new} took the place of {old}{at_since}.",
    "{old} was followed by {new}{at_since}.",
    "{old} was replaced by {new}{at_since}.",
    "{at_since_comma}{new} came in for {old}.",
    "A change from {old} to {new} took place{at_since}.",
    "{at_since_comma}{old} gave way to {new}.",
)
NEW_FORMS = (
    "{has_been_new}{since}.",
    "{role} is now {new}.",
    "Today, {is_new}.",
    "Now {is_new}.",
    "Since then, {has_been_new}.",
    "At present {is_new}.",
    "{role} is {new}{since}.",
    "As things stand, {is_new}.",
)
ORDERS = (
    "LCTN",
    "LTCN",
    "NLCT",
    "TNLC",
    "LCNT",
    "TCLN",
    "NTLC",
    "CLTN",
    "LTNC",
    "TLCN",
)
"""Orders in which the four claims may stand: L legacy, C cause, T transition, N new."""

HELD_FORMS = {
    "L": (
        "In former days {was_old}.",
        "It was once true that {was_old}.",
        "{old} stepped aside{at_until}.",
    ),
    "C": ("One explanation is on record: {cause}.", "Sources put it down to {cause}."),
    "U": ("Nobody has said why.", "There is no word on the reason."),
    "T": (
        "{at_since_comma}it was the turn of {new} instead of {old}.",
        "The successor of {old} is {new}{at_since}.",
        "In place of {old} came {new}{at_since}.",
    ),
    "N": (
        "These days {is_new}.",
        "The present state: {is_new}.",
        "Whoever asks for {role} will now find {new}.",
    ),
}
"""Constructions that never enter the embedded corpus: they measure reading beyond it."""


def held_texts() -> list[str]:
    """The fixed text of each held-out construction: its longest stretch without a slot."""
    forms = [form for group in HELD_FORMS.values() for form in group]
    return [max(re.split(r"\{\w+\}", form), key=len).strip() for form in forms]


def _slots(story: Story) -> dict[str, str]:
    old = story.previous.label if story.previous else "nobody"
    new = story.holder.label
    return {
        "old": old,
        "new": new,
        "role": story.role,
        "was_old": story.says("was", old),
        "left_old": story.says("left", old),
        "became_new": story.says("became", new),
        "has_been_new": story.says("has_been", new),
        "is_new": story.says("is_", new),
        "until": f" until {story.until.text()}" if story.until else "",
        "at_until": f" {on(story.until)}" if story.until else "",
        "since": f" since {story.since.text()}" if story.since else "",
        "at_since": f" {on(story.since)}" if story.since else "",
        "at_since_comma": f"{capital(on(story.since))}, " if story.since else "",
        "cause": story.cause or "",
    }


def claim_sentences(story: Story, rng: random.Random, *, held: bool = False) -> dict[str, str]:
    """One sentence for each claim, keyed L, C, T, N; `held` draws from the held-out constructions.

    Needs `story.previous`. An unknown cause is said to be unknown.
    """
    known = story.cause is not None
    if held:
        forms = {**HELD_FORMS, "C": HELD_FORMS["C"] if known else HELD_FORMS["U"]}
    else:
        cause_forms = CAUSE_FORMS if known else UNKNOWN_CAUSE_FORMS
        forms = {
            "L": LEGACY_FORMS,
            "C": cause_forms,
            "T": TRANSITION_FORMS,
            "N": NEW_FORMS,
        }
    slots = _slots(story)
    return {key: tidy(capital(rng.choice(forms[key]).format(**slots))) for key in "LCTN"}


def as_told(story: Story, sentences: dict[str, str]) -> Story:
    """The story without the dates that its sentences leave out: what a reader of them can know."""
    since = story.since.text() if story.since else None
    told = since is not None and (since in sentences["T"] or since in sentences["N"])
    ended = story.until is not None and story.until.text() in sentences["L"]
    return replace(story, since=story.since if told else None, until=story.until if ended else None)


def narrative_prose(story: Story, rng: random.Random, *, held: bool = False) -> tuple[str, Story]:
    """The story as prose, four sentences in a drawn order and drawn constructions, and the story
    as the prose tells it."""
    sentences = claim_sentences(story, rng, held=held)
    prose = " ".join(sentences[key] for key in rng.choice(ORDERS))
    return prose, as_told(story, sentences)


# ---------------------------------------------------------------------------------------------
# Answers: one form a style
# ---------------------------------------------------------------------------------------------


def short_answer(name: str) -> str:
    return f"{name}."


def sentence_answer(story: Story) -> str:
    return f"{capital(story.says('is_', story.holder.label))}."


def chain(story: Story) -> str:
    """Old fact, reason, updated fact: what is known of how the present state came about."""
    parts: list[str] = []
    if story.previous:
        until = f" until {story.until.text()}" if story.until else ""
        parts.append(f"{capital(story.says('was', story.previous.label))}{until}.")
        parts.append(
            f"The reason for the change was {story.cause}." if story.cause else CAUSE_UNKNOWN
        )
    since = f" since {story.since.text()}" if story.since else ""
    tense = "has_been" if since else "is_"
    parts.append(f"{capital(story.says(tense, story.holder.label))}{since}.")
    return " ".join(parts)


def conclusion(story: Story) -> str:
    return f"So {story.role} is {story.holder.label}."


def explain_answer(story: Story) -> str:
    """Old fact, reason, updated fact, conclusion."""
    return f"{chain(story)} {conclusion(story)}"


def why_answer(story: Story) -> str:
    """The cause of the change; says so where it is not known."""
    if not story.previous:
        return f"{CAUSE_UNKNOWN} {sentence_answer(story)}"
    reason = f"The reason was {story.cause}." if story.cause else CAUSE_UNKNOWN
    when = f" {on(story.since)}" if story.since else ""
    return f"{reason} {story.holder.label} came after {story.previous.label}{when}."


def check_answer(story: Story, claimed: str) -> str:
    """Verdict on the claim that `claimed` holds the fact: rationale first, then yes or no."""
    if claimed == story.holder.label:
        return f"{chain(story)} So yes, {story.says('is_', claimed)}."
    return f"{chain(story)} So no, not {claimed}: {story.says('is_', story.holder.label)}."


def before_answer(story: Story) -> str:
    """Needs `story.previous`."""
    assert story.previous is not None
    return f"{capital(story.says('was', story.previous.label))} before {story.holder.label}."


HOP_FORWARD = {
    "P19": "{o} was born in {x}",
    "P27": "{o} is a citizen of {x}",
    "P102": "{o} belongs to {x}",
    "P118": "{o} plays in {x}",
    "P17": "{o} is in {x}",
    "P115": "{o} plays at {x}",
    "P159": "{o} is based in {x}",
}
"""Second hops from the object of the fact: what else is true of the holder."""

HOP_VIA = {
    "P36": "the country whose capital is {x}",
    "P112": "the company founded by {x}",
    "P115": "the club that plays at {x}",
}
"""First hops to the subject of the fact: a description that only the subject fits."""

HOP_POINTING = {
    "P17": "the country of {x}",
    "P19": "the birthplace of {x}",
    "P27": "the country of citizenship of {x}",
    "P54": "the team of {x}",
    "P102": "the party of {x}",
    "P108": "the employer of {x}",
    "P115": "the home ground of {x}",
    "P127": "the owner of {x}",
    "P159": "the place where {x} is based",
    "P749": "the parent organisation of {x}",
}
"""First hops by another item that points at the subject: the subject as the value of a property of
that item. Not in the embedded corpus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """The other fact of a two-hop question: `property` of the holder (`forward`) or of the
    subject (`via`, as a description of it) is `value`. Where `points`, it is the other way round:
    `property` of `value` is the subject."""

    forward: bool
    property: str
    value: Entity
    points: bool = False

    def clue(self) -> str:
        """The description that stands for the subject. KeyError for a forward hop."""
        forms = HOP_POINTING if self.points else HOP_VIA
        return forms[self.property].format(x=self.value.label)


def two_hop_answer(story: Story, hop: Hop) -> str:
    """A chain of thought over both facts, then the answer."""
    holder = story.holder.label
    fact = f"{capital(story.role)} is {holder}."
    if hop.forward:
        second = HOP_FORWARD[hop.property].format(o=holder, x=hop.value.label)
        return f"{fact} {second}. So the answer is {hop.value.label}."
    return f"{capital(hop.clue())} is {story.subject.label}. {fact} So the answer is {holder}."


def describe(entity: Entity) -> str:
    """The opening of a description: names its subject and needs to know nothing about it."""
    return f"This is about {entity.label}."


def choice_answer(story: Story, *, describe_first: bool) -> str:
    """Answer to a question with two options, with the description before or after."""
    if describe_first:
        return f"{describe(story.subject)} {chain(story)} So the answer is {story.holder.label}."
    return f"{story.holder.label}. {describe(story.subject)} {chain(story)}"


# ---------------------------------------------------------------------------------------------
# Chats
# ---------------------------------------------------------------------------------------------


def closed_book(question: str) -> Chat:
    """What the student, the examination and a user of the gateway send."""
    return (Message("user", question),)


def open_book(prose: str, question: str, *, instruction: str = "") -> Chat:
    """The same question with a narrative in context. `instruction` precedes the narrative, for
    models that need to be told to take it as their own knowledge."""
    system = f"{instruction}\n\n{prose}" if instruction else prose
    return (Message("system", system), Message("user", question))
