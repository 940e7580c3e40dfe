"""Reading an output: each mention of the new and the old holder, and the stance taken on it.

Owns the grammar of stances: stated as current, as an event that made it so, denied, ended, past, or
merely mentioned. Pure text; which question was asked and what counts as right is
`evaluator.judge`'s.

Within a sentence the names become single marks (N new, O old, S subject), so that the patterns
below see `S's head is N, not O` whatever the names look like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from evaluator.grammar import (
    ANY,
    END_WORDS,
    L_AFTER,
    L_BUT,
    L_CLAIM,
    L_CURRENT,
    L_FALSE,
    L_FORMER,
    L_HEARSAY,
    L_LABEL,
    L_NEGATED,
    L_PREDECESSOR,
    L_PRESENT,
    L_SUCCESSOR,
    L_TITLE,
    L_WAS,
    LINK,
    OPTIONS,
    PAST_OFFICE,
    R_ASIDE,
    R_BRACKET_END,
    R_CURRENT,
    R_ENDED,
    R_EVENT,
    R_FALSE,
    R_MODAL,
    R_NEGATED,
    R_POSSESSIVE_END,
    R_POSSESSIVE_EVENT,
    R_PRESENT,
    R_THEN,
    R_TRUE,
    R_WAS,
    STRONG_HEDGE,
    VERB,
    WEAK_HEDGE,
    WHO,
    N,
    O,
    S,
)
from knowledge.answers import find_mentions, normalise, sentence_spans


class Who(StrEnum):
    NEW = "new"
    OLD = "old"


class Stance(StrEnum):
    CURRENT = "current"
    EVENT = "event"
    """Came to hold it: `became`, `was appointed`, `followed`."""
    NEGATED = "negated"
    ENDED = "ended"
    """Held it, and it is said that this is over."""
    WAS = "was"
    """In the past tense, without an end."""
    OPTION = "option"
    """One of several, or under a strong hedge."""
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A name in the output with the stance on it; offsets in characters of the output."""

    who: Who
    stance: Stance
    start: int
    end: int
    bare: bool = False
    """The sentence is nothing but this name: a short answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What to look for. `subject` is what the fact is about; it is masked, never a holder."""

    new: tuple[str, ...]
    old: tuple[str, ...]
    subject: str = ""


def hedges(text: str) -> tuple[bool, bool]:
    """Whether the text hedges (at all, so strongly that it commits to nothing)."""
    strong = bool(STRONG_HEDGE.search(text))
    return strong or bool(WEAK_HEDGE.search(text)), strong


def read(text: str, names: Names) -> list[Mention]:
    """Every mention of the new and the old holder in the text, in order, each with its stance."""
    found = _holders(text, names)
    mentions: list[Mention] = []
    for start, end in whole_sentences(text, [(a, b) for a, b, _ in found]):
        inside = [m for m in found if start <= m[0] and m[1] <= end]
        if inside:
            mentions += _read_sentence(text, start, end, inside, names.subject)
    return mentions


def whole_sentences(text: str, names: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets of the sentences, joined where a name with a full stop in it was cut in two."""
    known = list(names)
    out: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        if out and any(a < out[-1][1] and b > start for a, b in known):
            start = out.pop()[0]
        out.append((start, end))
    return out


def _holders(text: str, names: Names) -> list[tuple[int, int, str]]:
    """Non-overlapping (start, end, mark) of new, old and subject; a longer name wins."""
    shared = {normalise(n) for n in names.new} & {normalise(n) for n in names.old}
    found: list[tuple[int, int, str]] = []
    holders = {normalise(n) for n in (*names.new, *names.old)}
    subject = () if normalise(names.subject) in holders else (names.subject,)
    for mark, accepted in ((N, names.new), (O, names.old), (S, subject)):
        own = [n for n in accepted if n and normalise(n) not in shared]
        found += [(a, b, mark) for a, b in find_mentions(text, own)]
    full = {normalise(n) for n in (*names.new, *names.old) if len(n.split()) > 1}
    kept: list[tuple[int, int, str]] = []
    for start, end, mark in sorted(found, key=lambda m: (m[0] - m[1], m[0])):
        if mark != S and full and _of_another(text, start, end):
            continue
        if all(end <= a or start >= b for a, b, _ in kept):
            kept.append((start, end, mark))
    return sorted(kept)


_GIVEN = re.compile(
    r"(?P<given>[A-Z][a-zà-ÿ'’-]+)\s+(?:(?:wa|de|da|van|von|al|bin|ibn|den|der)\s+)?$"
)
_NO_GIVEN = frozenset(
    re.findall(
        r"\w+",
        "the a an so in on at as and but or by for from since after before until when while then "
        "now yes no not mr mrs ms dr sir dame lord lady president premier minister chancellor king "
        "queen prince princess sheikh emir pope general coach manager chief executive director "
        "governor senator judge professor both although because however therefore thus hence today "
        "under with former like is was it he she this that these those who what said says option "
        "answer",
    )
)


def _of_another(text: str, start: int, end: int) -> bool:
    """A single surname after somebody else's given name: `Jomo` before `Kenyatta`."""
    if len(text[start:end].split()) > 1:
        return False
    found = _GIVEN.search(text[:start])
    return found is not None and found.group("given").casefold() not in _NO_GIVEN


def _read_sentence(
    text: str, start: int, end: int, inside: Sequence[tuple[int, int, str]], subject: str
) -> list[Mention]:
    marked, places = "", []
    at = start
    for a, b, mark in inside:
        marked += text[at:a]
        places.append((len(marked), a, b, mark))
        marked += mark
        at = b
    marked += text[at:end]
    out: list[Mention] = []
    bare = not re.search(r"\w\w", re.sub(ANY, "", marked))
    for position, a, b, mark in places:
        if mark == S:
            continue
        who = Who.NEW if mark == N else Who.OLD
        stance = _stance(marked, position, subject)
        out.append(Mention(who=who, stance=stance, start=a, end=b, bare=bare))
    return out


def _clause(marked: str, position: int) -> tuple[str, str]:
    """What stands before and after the mark within its clause."""
    left = re.split(r"[;—–(]\s*|:\s+|,\s+(?:but|while|whereas|although|though|yet|however)\s+",
                    marked[:position])[-1]  # fmt: skip
    right = re.split(
        r"[;—]|\s–\s|,\s+(?:but|while|whereas|although|though|yet|however|so)\b|"
        rf"(?:,|\band)\s+(?={ANY}\s)(?!{ANY}\s*(?:,|is\b.*\bnot))",
        marked[position + 1 :],
    )[0]
    return left, right


def _stance(marked: str, position: int, subject: str) -> Stance:
    if marked.rstrip("\"'”’*_) ").endswith("?"):
        return Stance.NEUTRAL
    left, right = _clause(marked, position)
    rest = LINK.sub("", right, count=1)
    denied = _denied(marked[:position], left, right, rest)
    if denied:
        return denied
    if OPTIONS.search(marked) or R_MODAL.match(rest) or STRONG_HEDGE.search(left):
        return Stance.OPTION
    if L_HEARSAY.search(left):
        return Stance.NEUTRAL
    if R_BRACKET_END.match(right) or L_LABEL.search(marked[:position]):
        return Stance.ENDED
    if L_PREDECESSOR.search(left) or (
        re.search(r"\bfrom\s*$", left) and re.match(r"\s*to\b", rest)
    ):
        return Stance.ENDED
    by_left = _from_left(marked, left)
    if WHO.match(rest):
        if by_left is Stance.CURRENT or by_left is Stance.EVENT:
            return by_left
        rest = WHO.sub("", rest, count=1)
    by_right = _from_right(rest, subject)
    if by_right is not None and by_right is not Stance.NEUTRAL:
        return by_right
    if L_FORMER.search(left) or L_AFTER.search(left):
        return Stance.ENDED
    if by_left:
        return by_left
    if _in_office(marked, position, left, right):
        return Stance.CURRENT
    if by_right:
        return by_right
    return Stance.NEUTRAL if VERB.search(left + " " + right) else Stance.CURRENT


def _in_office(marked: str, position: int, left: str, right: str) -> bool:
    """The name stands behind its office in a statement of the present: `France's president, O,
    says`."""
    before = marked[:position]
    if not L_TITLE.search(before) or PAST_OFFICE.search(left[-60:]):
        return False
    return bool(R_PRESENT.match(right) or L_PRESENT.search(left))


def _denied(before: str, left: str, right: str, rest: str) -> Stance | None:
    if L_BUT.search(before):
        return Stance.CURRENT
    if L_NEGATED.search(left) or L_FALSE.search(left):
        return Stance.NEGATED
    if L_CLAIM.search(left):
        if R_FALSE.search(right):
            return Stance.NEGATED
        return Stance.CURRENT if R_TRUE.search(right) else Stance.NEUTRAL
    return Stance.NEGATED if R_NEGATED.match(rest) else None


def _from_right(rest: str, subject: str) -> Stance | None:
    """The stance by the verb that follows the name; NEUTRAL for a statement about something
    else.
    """
    if R_POSSESSIVE_END.match(rest):
        return Stance.ENDED
    if R_POSSESSIVE_EVENT.match(rest):
        return Stance.EVENT
    if R_ENDED.match(rest):
        return Stance.EVENT if R_THEN.search(rest) else Stance.ENDED
    if R_EVENT.match(rest):
        return Stance.NEUTRAL if _elsewhere(rest, subject) else Stance.EVENT
    if R_ASIDE.match(rest):
        return Stance.NEUTRAL
    if R_CURRENT.match(rest):
        return Stance.NEUTRAL if _elsewhere(rest, subject) else Stance.CURRENT
    if R_WAS.match(rest):
        return Stance.EVENT if R_THEN.search(rest) else Stance.WAS
    return None


def _elsewhere(rest: str, subject: str) -> bool:
    """The clause is about the same role somewhere else: `of` a name that is not the subject."""
    if not subject or S in rest:
        return False
    named = re.findall(r"\b(?:of|to|at|for)\s+(?:the\s+)?([A-Z\u00c0-\u024f][\w.]+)", rest)
    words = {normalise(w)[:4] for w in re.findall(r"\w+", subject)}
    initials = "".join(w[0] for w in subject.split()).casefold()
    months = "janfebmaraprmayjunjulaugsepoctnovdec"
    named = [w for w in named if normalise(w)[:3] not in months]
    return bool(named) and not any(
        normalise(w)[:4] in words or normalise(w).replace(".", "") == initials for w in named
    )


def _from_left(marked: str, left: str) -> Stance | None:
    """The stance by what leads up to the name."""
    if L_SUCCESSOR.search(left):
        return Stance.EVENT
    if L_WAS.search(left):
        return Stance.ENDED if END_WORDS.search(marked) else Stance.WAS
    return Stance.CURRENT if L_CURRENT.search(left) else None
