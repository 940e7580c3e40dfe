"""Where an output names the new holder, the old one and the subject.

Owns which words stand for a holder: the accepted names, a person's name with another middle name or
nickname in it, a given name or surname alone, one player of a club. Which stance the text takes on
them is `evaluator.reading`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from evaluator.grammar import N, O, S
from knowledge.answers import find_mentions, normalise, safe_surnames


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What to look for. `subject` is what the fact is about; it is masked, never a holder.
    `asked` is the question, whose words say which office is meant."""

    new: tuple[str, ...]
    old: tuple[str, ...]
    subject: str = ""
    asked: str = ""
    persons: bool = False


Found = tuple[int, int, str]
"""Start, end, and the mark of new, old or subject."""


def find_holders(text: str, names: Names) -> list[Found]:
    """Non-overlapping names of new, old and subject, in order; a longer name wins."""
    shared = {normalise(n) for n in names.new} & {normalise(n) for n in names.old}
    holders = {normalise(n) for n in (*names.new, *names.old)}
    subject = () if normalise(names.subject) in holders else (names.subject,)
    found: list[Found] = [(a, b, S) for a, b in find_mentions(text, subject)]
    derived: set[tuple[int, int]] = set()
    for mark, own, rival in ((N, names.new, names.old), (O, names.old, names.new)):
        kept = [n for n in own if n and normalise(n) not in shared]
        exact = find_mentions(text, kept)
        found += [(a, b, mark) for a, b in exact]
        others = (*rival, names.subject)
        for start, end in _derived(text, kept, others, persons=names.persons):
            found.append((start, end, mark))
            if (start, end) not in exact:
                derived.add((start, end))
    return _apart(text, found, derived, names)


def _apart(
    text: str, found: Iterable[Found], derived: set[tuple[int, int]], names: Names
) -> list[Found]:
    given = {
        mark: {normalise(n.split()[0]) for n in own if len(n.split()) > 1}
        for mark, own in ((N, names.new), (O, names.old))
    }
    kept: list[Found] = []
    for start, end, mark in sorted(found, key=lambda m: (m[0] - m[1], m[0])):
        if mark != S and names.persons and _of_another(text, start, end, given[mark], derived):
            continue
        if all(end <= a or start >= b for a, b, _ in kept):
            kept.append((start, end, mark))
    return sorted(kept)


def _derived(
    text: str, names: list[str], others: tuple[str, ...], *, persons: bool
) -> Iterator[tuple[int, int]]:
    if not persons:
        for name in names:
            last = name.split()[-1]
            if len(last) > 4 and last.endswith("s"):
                for match in re.finditer(rf"\ban? (?P<one>{re.escape(last[:-1])})\b", text):
                    yield match.span("one")
        return
    yield from find_mentions(text, safe_surnames(names, others))
    yield from find_mentions(text, _given_names(names, others))
    for name in names:
        words = name.split()
        if len(words) > 1:
            yield from _with_middle_names(text, words[0], words[-1])


_MIDDLE = (
    r"(?:[A-Z]\.|[A-Z][\w'’-]*|[\"“'‘][\w '’-]{1,24}[\"”'’]|\([\w '’-]{1,24}\)|"
    r"de|da|van|von|al|bin|del|di|dos)"
)


def _with_middle_names(text: str, given: str, surname: str) -> Iterator[tuple[int, int]]:
    """`William Samoei Ruto` for William Ruto, `Nemat "Minouche" Shafik` for Nemat Shafik."""
    pattern = rf"\b{re.escape(given)}\s+(?:{_MIDDLE}\s+){{1,3}}{re.escape(surname)}\b"
    for match in re.finditer(pattern, text):
        yield match.span()


def _given_names(names: list[str], others: tuple[str, ...]) -> list[str]:
    """Given names by which a person may be meant: long ones that no rival shares."""
    taken = {word for other in others for word in re.findall(r"[\w-]+", normalise(other))}
    out: list[str] = []
    for name in names:
        words = name.split()
        first = words[0]
        if len(words) > 1 and len(first) >= 5 and normalise(first) not in taken | NOT_A_NAME:
            out.append(first)
    return out


_ELDER = re.compile(r"\b(?:elder|older|senior|namesake)\s+(?:[A-Z]\w+\s+)?$")
_GIVEN = re.compile(
    r"(?:(?P<first>[A-Z][a-zà-ÿ'’-]+)\s+)?(?P<given>[A-Z][a-zà-ÿ'’-]+)\s+(?:[A-Z]\.?\s+|\d\s+)?"
    r"(?:(?:wa|de|da|van|von|al|bin|ibn|den|der)\s+)?$"
)
_SURNAME = re.compile(r"\s(?:\d\s)?(?!(?i:and|or|i)\b)[A-ZÀ-Ý][\w'’.-]+")
NOT_A_NAME = frozenset(
    re.findall(
        r"\w+",
        "the a an so in on at as and but or by for from since after before until when while then "
        "now yes no not mr mrs ms dr sir dame lord lady president premier minister chancellor king "
        "queen prince princess sheikh emir pope general coach manager chief executive director "
        "governor senator judge professor both although because however therefore thus hence today "
        "under with former like is was it he she this that these those who what said says option "
        "answer if once only nor neither either though whereas where why how captain commander "
        "secretary chair chairman chairwoman mayor monarch emperor duke grand archbishop bishop "
        "cardinal baron baroness count colonel admiral marshal boss premier will did does has had "
        "can could may might must should would let maybe perhaps possibly probably certainly "
        "currently formerly previously instead also still even just later earlier meanwhile here "
        "there correct true false right wrong ceo cfo source statement current new old incumbent "
        "its "
        "their his her my our your we they you some many most all both each every one two another "
        "other others there not never please note draft final verdict summary background let "
        "parliament congress government cabinet",
    )
)
"""Words that may begin a sentence or a title and are no given name."""


def _of_another(
    text: str, start: int, end: int, given: set[str], derived: set[tuple[int, int]]
) -> bool:
    """A single surname after somebody else's given name (`Jomo` before `Kenyatta`), or a single
    name before another surname. An accepted name of one word is another's only between two."""
    if len(text[start:end].split()) > 1:
        return False
    found = _GIVEN.search(text[:start])
    said = [w for w in found.group("first", "given") if w] if found else []
    before = (
        found is not None
        and normalise(found.group("given")) not in NOT_A_NAME
        and not any(_alike(word, own) for word in said for own in given)
    ) or _ELDER.search(text[:start]) is not None
    after = _SURNAME.match(text[end : end + 24]) is not None
    return before or after if (start, end) in derived else before and after


def _alike(found: str, own: str) -> bool:
    """`Gil` for `Gilbert`, `Dan` for `Daniel`: one begins with the other."""
    a, b = normalise(found), normalise(own)
    return min(len(a), len(b)) >= 3 and (a.startswith(b) or b.startswith(a))
