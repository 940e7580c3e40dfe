"""What a whole output commits to about one fact: its final answer, and whether it ends on the new
fact.

Owns the final answer's place and the order of assertions and denials, over the stances of
`evaluator.reading`. Questions and verdict rows are `evaluator.judge`'s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evaluator.hedging import REFUSAL, hedged_strongly, hedged_weakly
from evaluator.naming import Names, find_holders
from evaluator.others import others_named
from evaluator.reading import read, whole_sentences
from evaluator.stances import AFFIRMED, Mention, Stance, Who
from evaluator.turns import ALSO, BOTH, CORRECTION, RETRACTION
from evaluator.verdicts import Final
from knowledge.answers import conclusion

_DENIED = (Stance.NEGATED, Stance.ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """How an output stands to one fact (a new and an old holder)."""

    mentions: tuple[Mention, ...]
    final: Final
    ends_new: bool
    """The last word on the fact is the new holder, undenied."""
    hedged: bool
    """The text as a whole withholds commitment."""


def commitment(
    text: str, names: Names, *, loose: bool = False, retracts: bool = True
) -> Commitment:
    """`loose` accepts a name that is merely mentioned in the answer, for facts without a story.
    `retracts` reads "that is wrong" as said of the text before; where a claim is checked, it is
    said of the claim."""
    mentions = _settled(text, read(text, names))
    mentions = _with_letters(text, mentions)
    if retracts:
        mentions = _with_retractions(text, mentions)
    others = others_named(text, [(a, b) for a, b, _ in find_holders(text, names)])
    mentions, hedged, strong = _hedged(text, mentions, others)
    if not (loose or hedged or others):
        mentions = _only_one(text, mentions)
    region = _region(text, mentions, others)
    inside = [m for m in mentions if region[0] <= m.start and m.end <= region[1]]
    marked = conclusion(text)
    stated = marked is not None and region == (marked[0], len(text))
    final = _final(text, region, inside, others, loose=loose, stated=stated)
    later = [m for m in mentions if m.start >= region[1] and m.who is Who.NEW and _weight(m)]
    if final is Final.RIGHT and later and _weight(later[-1]) < 0 and not inside[0].bare:
        final = Final.NONE  # taken back in a later sentence
    denied = [m for m in mentions if m.who is Who.NEW and _weight(m)]
    if final is Final.NONE and denied and _weight(denied[-1]) < 0:
        after = denied[-1].end
        if any(o >= after for o in others) and not any(m.start >= after for m in mentions):
            final = Final.OTHER
    if final in (Final.RIGHT, Final.LEGACY) and _both(text, mentions):
        final = Final.MIXED
    if strong:
        final = Final.NONE
    last = [m for m in mentions if _weight(m)]
    ends_new = final is Final.RIGHT and bool(last) and _weight(last[-1]) > 0
    return Commitment(mentions=tuple(mentions), final=final, ends_new=ends_new, hedged=hedged)


def _hedged(
    text: str, mentions: Sequence[Mention], others: Sequence[int]
) -> tuple[list[Mention], bool, bool]:
    """The mentions, whether the text hedges, and whether so strongly that it commits to nothing:
    then what it seems to affirm is a mere option."""
    spans = _sentences(text, mentions)
    strong = any(hedged_strongly(text[a:b]) for a, b in spans)
    weak = any(hedged_weakly(text[a:b]) for a, b in spans)
    if not (strong or weak):
        return list(mentions), False, False
    firm = [m.start for m in mentions if m.stance in AFFIRMED] + list(others)
    for a, b in spans:
        inside = [place for place in firm if a <= place < b]
        if any(not _under_hedge(text, a, b, place) for place in inside):
            return list(mentions), False, False
    if not strong:
        return list(mentions), True, False
    options = [replace(m, stance=Stance.OPTION) if m.stance in AFFIRMED else m for m in mentions]
    return options, True, True


_PAST = re.compile(r"\b(?:was|were|had|did|\w+ed|left|ran|won|lost|led|held|until|former)\b")


def _only_one(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """Where nobody is said to hold it, an output that speaks of one holder alone, in the present
    and in words that no pattern knows, gives that one as its answer."""
    unread = [m for m in mentions if m.unread]
    if any(m.stance in AFFIRMED for m in mentions) or len({m.who for m in unread}) != 1:
        return list(mentions)
    first = unread[0]
    home = next(((a, b) for a, b in _sentences(text, mentions) if a <= first.start < b), None)
    if home is None or _PAST.search(text[slice(*home)]) or text[: home[1]].rstrip().endswith("?"):
        return list(mentions)
    return [replace(m, stance=Stance.CURRENT) if m is first else m for m in mentions]


def _under_hedge(text: str, start: int, end: int, place: int) -> bool:
    """The mention at `place` stands under a hedge of its sentence: one before it, or the speaker's
    own after it."""
    before, after = text[start:place], text[place:end]
    if hedged_weakly(text[start:end]) or hedged_strongly(before):
        return True
    return hedged_strongly(after) and re.search(r"\b(?:I|my|we)\b", after) is not None


def _both(text: str, mentions: Sequence[Mention]) -> bool:
    """The new and the old holder are said to hold it at once."""
    affirmed = [m for m in mentions if m.stance in AFFIRMED]
    if {m.who for m in affirmed} != {Who.NEW, Who.OLD} or CORRECTION.search(text):
        return False
    if has(mentions, Who.OLD, Stance.ENDED, Stance.NEGATED) and not BOTH.search(text):
        return False
    if has(mentions, Who.NEW, Stance.ENDED, Stance.NEGATED):
        return False
    second = next(m for m in affirmed if m.who is not affirmed[0].who)
    spans = _sentences(text, mentions)
    home = next((i for i, (a, b) in enumerate(spans) if a <= second.start < b), 0)
    a, b = spans[home][0], spans[min(home + 1, len(spans) - 1)][1]
    said = text[slice(*spans[home])]
    return bool(BOTH.search(text[a:b])) or (bool(ALSO.search(said)) and second.who is Who.OLD)


def _sentences(text: str, mentions: Sequence[Mention]) -> list[tuple[int, int]]:
    return whole_sentences(text, [(m.start, m.end) for m in mentions])


def _weight(mention: Mention) -> int:
    """+1 for the new fact, -1 for what contradicts it, 0 for neither."""
    if mention.who is Who.NEW:
        if mention.stance in AFFIRMED:
            return 1
        return -1 if mention.stance in (Stance.NEGATED, Stance.ENDED) else 0
    return -1 if mention.stance is Stance.CURRENT else 0


def _settled(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """Decides what "O became, was appointed" means: the present state, or the start of the old one.

    It is the present state where the same sentence puts N before O, or where the output knows
    neither an end of O nor any N in office.
    """
    over = has(mentions, Who.OLD, Stance.ENDED, Stance.NEGATED)
    rival = has(mentions, Who.NEW, *AFFIRMED)
    sentences = _sentences(text, mentions)
    out: list[Mention] = []
    for mention in mentions:
        if mention.who is Who.OLD and mention.stance is Stance.EVENT:
            home = next((s for s in sentences if s[0] <= mention.start < s[1]), (0, len(text)))
            reversed_ = any(
                m.who is Who.NEW and m.stance is Stance.ENDED and home[0] <= m.start < home[1]
                for m in mentions
            )
            present = reversed_ or not (over or rival)
            mention = replace(mention, stance=Stance.CURRENT if present else Stance.WAS)
        out.append(mention)
    return out


def _with_retractions(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """A denial of the new holder where the text takes back what it said last: `that is wrong`."""
    out = list(mentions)
    for match in RETRACTION.finditer(text):
        sentence = next(
            ((a, b) for a, b in _sentences(text, mentions) if a <= match.end() - 1 < b), None
        )
        said = [m for m in mentions if m.end <= match.start() and _asserted(m)]
        if sentence is None or not said or said[-1].who is not Who.NEW:
            continue
        named = [m for m in mentions if sentence[0] <= m.start < sentence[1]]
        if any(m.who is Who.NEW and m.stance is Stance.NEGATED for m in named):
            continue
        if any(m.start >= match.start() and m.who is Who.NEW and _asserted(m) for m in named):
            continue
        place = match.end()
        out.append(
            Mention(who=Who.NEW, stance=Stance.NEGATED, start=match.start(), end=place, bare=False)
        )
    return sorted(out, key=lambda m: m.start)


def _asserted(mention: Mention) -> bool:
    return mention.stance in AFFIRMED


_LETTER = re.compile(
    r"(?:\b(?:answer|option|choice|blank|correct (?:one|answer|option)|filled)\b[^.\n]{0,30}?"
    r"(?:\bis|\bby|:|=)|\b(?:go|going) (?:for|with))\s*[\"'*(\[]*(?:option )?(?P<letter>[A-Da-d])"
    r"[\"'*)\].,]*(?=\s|$)"
)
_LISTED = re.compile(r"(?:^|[\s(])\(?(?P<letter>[A-Da-d])[).:]\s*[\"'*]*$")


def _with_letters(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """Options that are chosen by their letter: the listed names are no statements, the chosen one
    is, at the place of its letter."""
    listed: dict[str, Mention] = {}
    for mention in mentions:
        found = _LISTED.search(text[max(0, mention.start - 8) : mention.start])
        if found:
            listed.setdefault(found.group("letter").upper(), mention)
    chosen = [m for m in _LETTER.finditer(text) if m.group("letter").upper() in listed]
    if not listed or (len(listed) < 2 and not chosen):
        return list(mentions)
    if not chosen:
        return list(mentions)
    options = set(map(id, listed.values()))
    out = [
        replace(m, stance=Stance.NEUTRAL, bare=False) if id(m) in options else m for m in mentions
    ]
    for match in chosen:
        picked = listed[match.group("letter").upper()]
        a, b = match.span("letter")
        if not any(m.start < b and a < m.end for m in mentions):
            out.append(Mention(who=picked.who, stance=Stance.CURRENT, start=a, end=b, bare=False))
    return sorted(out, key=lambda m: m.start)


_JUDGES = re.compile(
    r"(?:the|this|that|it|your)?\s*(?:claim|statement|assertion|premise|information|sentence|question)?\b"
    r"[^.;:]{0,60}\b(?:is|are|was)\s+(?:\w+ ){0,2}(?:true|false|correct|incorrect|wrong|right|"
    r"untrue|"
    r"accurate|inaccurate|outdated|mistaken)\b",
    re.IGNORECASE,
)
"""A conclusion about the claim, which names nobody."""
_MID_SO = re.compile(r",\s+(?:and |but )?so,?\s+$", re.IGNORECASE)


def _commits(
    text: str, marked: tuple[int, int], mentions: Sequence[Mention], others: Sequence[int]
) -> bool:
    """The marked conclusion gives an answer. A mere `, so ...` inside a sentence does so only by an
    assertion."""
    inside = [m for m in mentions if m.start >= marked[0]]
    if _MID_SO.search(text[: marked[0]]):
        return any(m.stance in AFFIRMED for m in inside) or any(o >= marked[0] for o in others)
    return bool(inside) or (_names_other(text, marked) and not _JUDGES.match(text[marked[0] :]))


def _region(text: str, mentions: Sequence[Mention], others: Sequence[int]) -> tuple[int, int]:
    """Where the answer stands: from the marked conclusion on; else the first sentence where that
    is a bare name that is not corrected later; else the last sentence that affirms somebody."""
    spans = _sentences(text, mentions)
    if not spans:
        return 0, len(text)
    marked = conclusion(text)
    if marked and _commits(text, marked, mentions, others):
        return marked[0], len(text)
    first = spans[0]
    opening = [m for m in mentions if m.end <= first[1]]
    bare = bool(opening) and all(m.bare for m in opening)
    stances = {m.stance for m in opening if m.stance is not Stance.NEUTRAL}
    bare = bare and stances == {Stance.CURRENT}
    if bare and not _revised(text, mentions, first, spans):
        return first
    affirming = [m for m in mentions if m.stance in AFFIRMED]
    if not affirming:
        return 0, len(text)
    last = affirming[-1].start
    return next(((a, b) for a, b in spans if a <= last < b), (0, len(text)))


_NOW = re.compile(r"\b(?:is|['’]s|remains|still|now|today|currently|holds|leads|heads|runs)\b|:")


def _revised(
    text: str,
    mentions: Sequence[Mention],
    first: tuple[int, int],
    spans: Sequence[tuple[int, int]],
) -> bool:
    """The answer that came first is corrected, or the description gives the present state as
    another one. A history (`... has been it since 2023`) revises nothing."""
    if CORRECTION.search(text[first[1] :]):
        return True
    said = {m.who for m in mentions if m.end <= first[1]}
    return any(
        m.stance is Stance.CURRENT and m.who not in said and _NOW.search(text[a:b])
        for m in mentions
        for a, b in spans
        if m.start >= first[1] and a <= m.start < b
    )


def _names_other(text: str, region: tuple[int, int]) -> bool:
    """The conclusion gives an answer of its own, more than yes or no."""
    words = re.findall(r"\w+", text[slice(*region)])
    return len(words) > 2 or any(w[:1].isupper() or w.isdigit() for w in words)


def _final(
    text: str,
    region: tuple[int, int],
    inside: Sequence[Mention],
    others: Sequence[int],
    *,
    loose: bool,
    stated: bool,
) -> Final:
    """What the region commits to. `stated`: it is a marked conclusion, where a name alone is
    one.
    """
    weak = (Stance.NEUTRAL, Stance.WAS) if loose else (Stance.NEUTRAL,)
    affirmed = {m.who for m in inside if m.stance in AFFIRMED}
    current = {m.who for m in inside if m.stance is Stance.CURRENT}
    if len(affirmed) == 2 and len(current) == 1:
        affirmed = current  # "although N was elected, it is O"
    if not affirmed and (loose or stated):
        affirmed = {m.who for m in inside if m.stance in weak}
        affirmed = affirmed if len(affirmed) == 1 and (loose or len(inside) == 1) else set()
    if len(affirmed) == 2:
        return Final.MIXED
    if Who.NEW in affirmed and any(m.who is Who.NEW and m.stance in _DENIED for m in inside):
        told = [m for m in inside if m.who is Who.NEW and m.stance in (*AFFIRMED, *_DENIED)]
        return Final.NONE if told[-1].stance in _DENIED else Final.RIGHT
    if affirmed:
        return Final.RIGHT if Who.NEW in affirmed else Final.LEGACY
    if any(m.stance is Stance.OPTION for m in inside):
        return Final.NONE
    said = text[slice(*region)]
    if REFUSAL.search(said) or not re.search(r"\w", said):
        return Final.NONE
    if not inside:
        return Final.OTHER
    return Final.OTHER if any(region[0] <= o < region[1] for o in others) else Final.NONE


def has(mentions: Sequence[Mention], who: Who, *stances: Stance) -> bool:
    return any(m.who is who and m.stance in stances for m in mentions)
