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

from knowledge.answers import find_mentions, normalise, sentence_spans

N, O, S = "\ue000", "\ue001", "\ue002"
_X = f"[{N}{O}]"


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


def _re(pattern: str) -> re.Pattern[str]:
    filled = pattern.replace("<X>", _X).replace("<N>", N).replace("<O>", O).replace("<S>", S)
    return re.compile(filled, re.IGNORECASE)


_ADV = (
    r"(?:\s*,?\s*\b(?:now|then|also|still|today|just|later|soon|since|already|in fact|indeed|"
    r"therefore|thus|at present|(?!only\b|family\b)[a-z]+ly)\b,?)*\s*"
)
_TITLE = (
    r"(?:\s*(?:\bthe|\bmr|\bmrs|\bms|\bdr|\bsir|\bprime minister|\bpresident|\bchancellor|"
    r"\bpremier|\bminister|\bcoach|\bpolitician|\btechnocrat|\beconomist|\b(?:option )?\(?[A-D]\)|"
    r"\boption [A-D][,:]?|[\"'“‘*_(\[])\.?)*\s*$"
)
_HELD = (
    r"(?:was|were|had been|served|acted|held|led|headed|ran|chaired|coached|managed|directed|"
    r"governed|occupied|presided|remained|stayed|played|worked|ruled|reigned)"
)
_APPOINTED = (
    r"(?:re-?)?(?:appointed|elected|named|chosen|sworn|inaugurated|selected|nominated|hired|"
    r"confirmed|installed|picked|announced|made|promoted|brought in|designated|unveiled)"
)
_OVER = (
    r"(?:until|till|up to|ended|came to an end|no longer|formerly|previously|earlier|once|"
    r"from \d{4} (?:to|until|through)|between|"
    r"before (?!becoming|taking|being|that|this|he\b|she\b|his|her|entering))"
)

_LINK = _re(
    r"^(?:(?!['’]s)[\"'”’*_)\]])*(?:\s*\([^)]*\))?(?:\s*,[^,;.<N><O>]{1,70},(?=\s))?"
    r"(?:\s*,?\s*(?:and |but )?(?:not|rather than) <X>,?)?"
)
_WHO = _re(r"^\s*,?\s*who\b")
_R_NEGATED = _re(
    rf"^{_ADV}(?:(?:is|was|has|does|did|can|could|will|are)\s*(?:not|n['’]t|never)|"
    r"(?:is|was|has been)?\s*(?:no longer|never)|cannot|can['’]t|ceased|stopped being|"
    r"is (?:wrong|false|incorrect|untrue|outdated|mistaken|out of date))\b"
    r"(?!\s+(?:only|just|merely|simply|a member|affiliated|born|known|related|married|"
    r"to be confused|the first|a politician))"
)
_R_ENDED = _re(
    rf"^{_ADV}(?:{_HELD}\b.*\b{_OVER}|"
    r"(?:has |had |have )?(?:left|resigned|stepped (?:down|aside|back)|departed|died|retired|lost|"
    r"quit|ended|came before|preceded|gave way|made way|handed over|vacated|passed away|fell|"
    r"used to)\b|"
    r"(?:was|were|has been|had been|is|got)\s+(?:\w+ly |then |later )?(?:replaced|succeeded|"
    r"followed|dismissed|ousted|removed|sacked|fired|voted out|deposed|impeached|defeated|"
    r"(?:the |a |an )?(?:former|previous|outgoing|last|ex|immediate predecessor|predecessor))\b|"
    r"(?:until|till)\b|\(?\d{4}\s*[-–—]\s*\d{4})"
)
_R_POSSESSIVE_END = _re(
    r"^['’]s? (?:\w+ )?(?:resignation|departure|death|removal|dismissal|retirement|defeat|exit|"
    r"ouster"
    r"|(?:tenure|term|time|reign|mandate|premiership|presidency)\b.*\b(?:end|over|expire|came to))"
)
_R_POSSESSIVE_EVENT = _re(
    r"^['’]s? (?:\w+ )?(?:appointment|election|arrival|inauguration|swearing)"
)
_R_EVENT = _re(
    rf"^{_ADV}(?:(?:was|were|has been|had been|got|is|being)\s+(?:\w+ly |then |later )?"
    rf"{_APPOINTED}\b|(?:has |had )?(?:became|become|took|taken|takes|assumed|succeed(?:ed|s)|"
    r"replace[ds]|follow(?:ed|s)|came|comes|stepped (?:in|up)|joined|joins|won|entered|inherited|"
    r"moved into|moved to|signed)\b)"
)
_R_THEN = _re(
    r"\b(?:then|and|,)\s+(?:\w+ )?(?:became|is now|now|took over|was appointed|was elected)"
)
_R_CURRENT = _re(
    rf"^{_ADV}(?:is|['’]s|are|remains|has been|has (?:served|held|led|headed|run|chaired|coached|"
    r"managed|directed|played|governed|occupied)|holds|leads|heads|runs|chairs|coaches|manages|"
    r"directs|governs|presides|serves|stands|occupies|continues|sits|acts|plays|rules|fills|"
    r"represents|should be|does)\b"
)
_R_ASIDE = _re(
    rf"^{_ADV}(?:(?:is|was|are|were)\s+(?:\w+ly )?(?:an?\b|one of|from|known|born|based|considered|"
    r"regarded|often|aged|married|widely|said|believed|listed|mentioned|claimed|described|"
    r"\d+ years|in \w+ party|mentioned)|was born|has a\b|comes from|belongs to|['’]s\b)"
)
_R_WAS = _re(rf"^{_ADV}{_HELD}\b")
_R_BRACKET_END = _re(
    r"^[\"'”’*_]*\s*\([^)]*(?:\b(?:until|till|former|resigned|left)\b|\d{4}\s*[-–—]\s*\d{4})[^)]*\)"
)
_R_MODAL = _re(rf"^{_ADV}(?:(?-i:may)|might|could|would)\b")

_L_NEGATED = _re(
    r"(?:\b(?:not|never|no longer|rather than|instead of|neither|nor|cannot be|can['’]t be|"
    r"as opposed to|other than|unlike)|n['’]t)" + _TITLE
)
_L_FALSE = _re(
    r"\b(?:not (?:true|correct|right|accurate|the case)|false|untrue|incorrect|wrong|"
    r"no longer (?:true|correct|the case|accurate))\s+(?:to (?:say|claim) )?that[^;:]*$"
)
_L_CLAIM = _re(
    r"\b(?:claim|statement|assertion|idea|notion|suggestion|proposition)s?\b"
    r"(?!\s*(?:is|was)\b)[^;]*$"
)
_R_FALSE = _re(
    r"\b(?:is|was|are|be)\s+(?:\w+ly |thus |now |hence )?(?:false|incorrect|wrong|untrue|outdated|"
    r"mistaken|inaccurate|out of date|not (?:true|correct|right|accurate)|no longer)\b"
)
_R_TRUE = _re(
    r"\b(?:is|was)\s+(?:\w+ly |thus |now |hence |indeed )?(?:true|correct|right|accurate)\b"
)
_L_BUT = _re(r"\bnot\b.*\bbut(?: rather| instead)?" + _TITLE)
_L_HEARSAY = _re(
    r"\b(?:(?:might|(?-i:may)|could|would|some|many|people|sources?|articles?|lists?|records?|users?)\b"
    r"[^;:]{0,40}\b(?:say|says|think|thinks|believe|believes|list|lists|name|names|claim|claims|"
    r"assume|mention|mentions|state)|contrary to|some believe|used to (?:think|believe)|"
    r"if)\b[^;:]*$"
)
_L_PREDECESSOR = _re(
    r"(?:\b(?:succeed(?:ed|s|ing)?|replac(?:ed|es|ing)|follow(?:ed|s|ing)|"
    r"(?:took|taking|takes|taken) over from|came (?:in )?(?:after|for)|comes after|in (?:the "
    r")?place of|"
    r"successor (?:of|to)|(?:took|taking|takes) the (?:place|role|post) of|stepped in for|"
    r"(?:resignation|departure|death|removal|dismissal|retirement|ouster|defeat|exit|fall|times?|"
    r"term|tenure|era|end) of|defeat(?:ed|ing)|beat|predecessor(?: was|,| is|:)?|"
    r"used to be(?: called)?|left))" + _TITLE
)
_L_FORMER = _re(
    r"\b(?:former|formerly|previous|previously|ex|outgoing|late|old|earlier|then(?=-))"
    r"(?:[\s-](?!is\b|was\b|now\b|has\b)[\w.-]+){0,5}" + _TITLE
)
_L_LABEL = _re(
    r"\b(?:previously|formerly|former|before|predecessor|previous|earlier|old)[\w ]{0,30}:\s*$"
)
_L_AFTER = _re(r"\bafter" + _TITLE)
_L_SUCCESSOR = _re(
    r"\b(?:(?:succeeded|replaced|followed) by|(?:way|over|power|change|passed|went|moved|"
    r"transferred|fell) to|successor(?: is| was| being|,| named)?|turn of|came|appointed|elected|"
    r"nominated|designated|selected|picked|"
    r"named|chose|hired|brought in|installed|swore in|(?:appointment|election|arrival|inauguration)"
    r" of|predecessor (?:of|to)|before|preceded|joined|joins|signed (?:for|with)|from <X> to|<X> "
    r"to|"
    r"became|was taken (?:over )?by|is taken by)" + _TITLE
)
_L_WAS = _re(
    r"\b(?:was|were|had been|(?:was|were) (?:led|headed|run|chaired|governed|coached|managed|"
    r"directed|held) by|(?<!has )(?<!have )played for)" + _TITLE
)
_L_CURRENT = _re(
    r"(?:\b(?:is|are|now|today|currently|remains|has been|be|find|namely|called|presently|still|"
    r"simply|plays for|playing for|played for|belongs to|(?:led|headed|run|chaired|governed|"
    r"coached|"
    r"managed|directed|held) by|name of)|['’]s|[:=>–—-])" + _TITLE
)
_VERB = _re(
    r"\b(?:is|was|are|were|has|had|have|been|became|did|does|do|came|took|led|leads|held|holds|left|"
    r"resigned|followed|replaced|succeeded|named|said|know|think|believe|called|\w+ed)\b"
)
_OPTIONS = _re(r"<X>[^.;]{0,12}\bor\b[^.;]{0,24}<X>|\beither\b[^.;]*<X>")
_END_WORDS = _re(
    r"\b(?:until|till|earlier|previously|formerly|before that|used to|once|former days)\b"
)
_STRONG_HEDGE = _re(
    r"\b(?:might|(?-i:may)|perhaps|possibly|could be|not (?:sure|certain)|unsure|unclear|uncertain|"
    r"don['’]t know|do not know|cannot say|can['’]t say|either)\b"
)
_WEAK_HEDGE = _re(
    r"\b(?:probably|likely|i think|i believe|i guess|presumably|it seems|apparently|"
    r"as far as i know|to my knowledge|as of my (?:last|knowledge)|if i recall)\b"
)


def hedges(text: str) -> tuple[bool, bool]:
    """Whether the text hedges (at all, so strongly that it commits to nothing)."""
    strong = bool(_STRONG_HEDGE.search(text))
    return strong or bool(_WEAK_HEDGE.search(text)), strong


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
    kept: list[tuple[int, int, str]] = []
    for start, end, mark in sorted(found, key=lambda m: (m[0] - m[1], m[0])):
        if all(end <= a or start >= b for a, b, _ in kept):
            kept.append((start, end, mark))
    return sorted(kept)


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
    bare = not re.search(r"\w\w", re.sub(_X, "", marked))
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
        rf"(?:,|\band)\s+(?={_X}\s)(?!{_X}\s*(?:,|is\b.*\bnot))",
        marked[position + 1 :],
    )[0]
    return left, right


def _stance(marked: str, position: int, subject: str) -> Stance:
    if marked.rstrip("\"'”’*_) ").endswith("?"):
        return Stance.NEUTRAL
    left, right = _clause(marked, position)
    rest = _LINK.sub("", right, count=1)
    denied = _denied(marked[:position], left, right, rest)
    if denied:
        return denied
    if _OPTIONS.search(marked) or _R_MODAL.match(rest) or _STRONG_HEDGE.search(left):
        return Stance.OPTION
    if _L_HEARSAY.search(left):
        return Stance.NEUTRAL
    if _R_BRACKET_END.match(right) or _L_LABEL.search(marked[:position]):
        return Stance.ENDED
    if _L_PREDECESSOR.search(left) or (
        re.search(r"\bfrom\s*$", left) and re.match(r"\s*to\b", rest)
    ):
        return Stance.ENDED
    by_left = _from_left(marked, left)
    if _WHO.match(rest):
        if by_left is Stance.CURRENT or by_left is Stance.EVENT:
            return by_left
        rest = _WHO.sub("", rest, count=1)
    by_right = _from_right(rest, subject)
    if by_right is not None and by_right is not Stance.NEUTRAL:
        return by_right
    if _L_FORMER.search(left) or _L_AFTER.search(left):
        return Stance.ENDED
    if by_left:
        return by_left
    if by_right:
        return by_right
    return Stance.NEUTRAL if _VERB.search(left + " " + right) else Stance.CURRENT


def _denied(before: str, left: str, right: str, rest: str) -> Stance | None:
    if _L_BUT.search(before):
        return Stance.CURRENT
    if _L_NEGATED.search(left) or _L_FALSE.search(left):
        return Stance.NEGATED
    if _L_CLAIM.search(left):
        if _R_FALSE.search(right):
            return Stance.NEGATED
        return Stance.CURRENT if _R_TRUE.search(right) else Stance.NEUTRAL
    return Stance.NEGATED if _R_NEGATED.match(rest) else None


def _from_right(rest: str, subject: str) -> Stance | None:
    """The stance by the verb that follows the name; NEUTRAL for a statement about something
    else.
    """
    if _R_POSSESSIVE_END.match(rest):
        return Stance.ENDED
    if _R_POSSESSIVE_EVENT.match(rest):
        return Stance.EVENT
    if _R_ENDED.match(rest):
        return Stance.EVENT if _R_THEN.search(rest) else Stance.ENDED
    if _R_EVENT.match(rest):
        return Stance.NEUTRAL if _elsewhere(rest, subject) else Stance.EVENT
    if _R_ASIDE.match(rest):
        return Stance.NEUTRAL
    if _R_CURRENT.match(rest):
        return Stance.NEUTRAL if _elsewhere(rest, subject) else Stance.CURRENT
    if _R_WAS.match(rest):
        return Stance.EVENT if _R_THEN.search(rest) else Stance.WAS
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
    if _L_SUCCESSOR.search(left):
        return Stance.EVENT
    if _L_WAS.search(left):
        return Stance.ENDED if _END_WORDS.search(marked) else Stance.WAS
    return Stance.CURRENT if _L_CURRENT.search(left) else None


def spans_of(mentions: Iterable[Mention], *stances: Stance) -> list[tuple[int, int]]:
    """Offsets of the mentions with one of these stances."""
    return [(m.start, m.end) for m in mentions if m.stance in stances]
