"""Reading an output: each mention of the new and the old holder, and the stance taken on it.

Owns how the grammar's patterns make a stance: stated as current, as an event that made it so,
denied, ended, past, or merely mentioned. Pure text; which question was asked and what counts as
right is `evaluator.judge`'s.

Within a sentence the names become single marks (N new, O old, S subject), so that the patterns
see `S's head is N, not O` whatever the names look like. A pronoun that stands for a holder is a
mention too, where its clause speaks of the office.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from evaluator import grammar as g
from evaluator.hedging import hedged_strongly
from evaluator.naming import Found, Names, find_holders
from evaluator.offices import (
    about_another_office,
    elsewhere,
    leads_another,
    left_another_office,
    same_office,
)
from evaluator.pronouns import Fact, pronouns, topic_after
from evaluator.quoting import quoted_claims
from evaluator.stances import AFFIRMED, Mention, Stance, Who
from knowledge.answers import sentence_spans


def read(text: str, names: Names) -> list[Mention]:
    """Every mention of the new and the old holder in the text, in order, each with its stance."""
    found = find_holders(text, names)
    fact = Fact(subject=names.subject, asked=names.asked, persons=names.persons)
    mentions: list[Mention] = []
    topic: Who | None = None
    for start, end in whole_sentences(text, [(a, b) for a, b, _ in found]):
        inside = [m for m in found if start <= m[0] and m[1] <= end]
        own = _read_sentence(text, start, end, inside, fact) if inside else []
        if names.persons:
            last = next((m.who for m in reversed(mentions) if not m.pronoun), None)
            own += pronouns(text, start, end, own, (topic, last), fact)
        mentions += sorted(own, key=lambda m: m.start)
        topic = topic_after(text[start:end], own, topic)
    return _cited(text, _asked_back(text, mentions))


_NO = re.compile(r"\?[\"”'’*)]*\s+(?P<word>no|not|yes)\b", re.IGNORECASE)


def _asked_back(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """`Is it N? No.`: a question that the output answers itself."""
    out = list(mentions)
    for match in _NO.finditer(text):
        start = max(text.rfind(mark, 0, match.start()) for mark in ".!?\n") + 1
        asked = [i for i, m in enumerate(out) if start <= m.start < match.start()]
        if len(asked) == 1 and out[asked[0]].stance is Stance.NEUTRAL:
            yes = match.group("word").casefold() == "yes"
            stance = Stance.CURRENT if yes else Stance.NEGATED
            out[asked[0]] = replace(out[asked[0]], stance=stance)
    return out


def whole_sentences(text: str, names: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets of the sentences, joined where a name with a full stop in it was cut in two."""
    known = list(names)
    out: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        if out and any(a < out[-1][1] and b > start for a, b in known):
            start = out.pop()[0]
        out.append((start, end))
    return out


def _cited(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """A name in a quoted claim takes the stance of what is said about the quotation."""
    quotes = quoted_claims(text)
    out: list[Mention] = []
    for mention in mentions:
        quote = next((q for q in quotes if q.start <= mention.start and mention.end <= q.end), None)
        if quote and quote.answer:
            if mention.stance is Stance.NEUTRAL:
                mention = replace(mention, stance=Stance.CURRENT)
        elif quote and not quote.adopted and mention.stance in AFFIRMED:
            denied = quote.denied and mention.who is Who.NEW
            stance = Stance.NEGATED if denied else Stance.NEUTRAL
            mention = replace(mention, stance=stance, bare=False)
        out.append(mention)
    return out


def _read_sentence(
    text: str, start: int, end: int, inside: Sequence[Found], fact: Fact
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
    bare = not re.search(r"\w\w", re.sub(rf"{g.ANY}|\([^)]*\)", "", marked))
    for position, a, b, mark in places:
        if mark == g.S:
            continue
        who = Who.NEW if mark == g.N else Who.OLD
        stance = _stance(marked, position, fact)
        unread = stance is Stance.UNREAD
        stance = Stance.NEUTRAL if unread else stance
        out.append(Mention(who=who, stance=stance, start=a, end=b, bare=bare, unread=unread))
    return _coordinated(text, out)


_AND = re.compile(
    r"[\"”'’*]*\s*(?:,? and|,? or,? equally,?|as well as|&|together with|along with|and also)\s+"
    r"(?:the |with |for |in |at )?[\"“'‘*]*",
    re.IGNORECASE,
)


def _coordinated(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """`N and O`: what is said of the first is said of the second, where nothing else is."""
    out = list(mentions)
    for i in range(1, len(out)):
        first, second = out[i - 1], out[i]
        together = _AND.fullmatch(text[first.end : second.start])
        if together and {first.stance, second.stance} == {Stance.CURRENT, Stance.NEUTRAL}:
            out[i - 1] = replace(first, stance=Stance.CURRENT)
            out[i] = replace(second, stance=Stance.CURRENT)
    return out


# ---------------------------------------------------------------------------------------------
# Stances
# ---------------------------------------------------------------------------------------------


_BEFORE_CLAUSE = re.compile(
    r"[;—–(…]\s*|:\s+|,\s+(?:but|while|whereas|although|though|yet|however)(?!,)\s+"
)


def _clause(marked: str, position: int) -> tuple[str, str]:
    """What stands before and after the mark within its clause."""
    rival = g.O if marked[position] == g.N else g.N
    left = _BEFORE_CLAUSE.split(marked[:position])[-1]
    right = re.split(
        r"[;—…]|\s–\s|,\s+(?:but|while|whereas|although|though|yet|however|so)\b(?!,)|"
        rf"(?:,|\band)\s+(?={rival}\s)(?!{rival}\s*(?:,|is\b.*\bnot))",
        marked[position + 1 :],
    )[0]
    return left, right


def _stance(marked: str, position: int, fact: Fact) -> Stance:
    if marked.rstrip("\"'”’*_) ").endswith("?"):
        return Stance.NEUTRAL
    left, right = _clause(marked, position)
    rest = g.LINK[marked[position]].sub("", right, count=1)
    if re.search(r"\bas\s*$", left):
        known = g.KNOWN.match(right)
        rest = right[known.end() :] if known else rest
    denied = _denied(marked, position, left, right, rest)
    if not denied and not fact.persons and g.L_NOT_SITED.search(left):
        denied = Stance.NEGATED
    if denied:
        return denied
    if g.OPTIONS.search(marked) or g.R_MODAL.match(rest) or hedged_strongly(left):
        return Stance.OPTION
    if g.L_CANDIDATES.search(left) or (g.L_WOULD.search(left) and not _THAT_WOULD.match(left)):
        return Stance.OPTION
    if g.L_HEARSAY.search(left):
        return Stance.NEUTRAL
    if g.R_BRACKET_END.match(right) or g.L_LABEL.search(marked[:position]):
        return Stance.ENDED
    if g.R_HANDS.match(rest) and not g.L_MOVED.search(left):
        return Stance.CURRENT
    if marked[position] == g.N and g.L_BEATEN.search(left):
        return Stance.NEUTRAL
    if g.R_PREDECESSOR.match(right):
        return Stance.ENDED
    if g.L_PREDECESSOR.search(left) or (
        re.search(r"\bfrom\s*$", left) and re.match(r"\s*to\b", rest)
    ):
        return Stance.ENDED
    if not fact.persons and g.L_CONTRACT.search(left):
        return Stance.CURRENT
    by_left = _from_left(marked, left, right, fact)
    if g.WHO.match(rest):
        if by_left is Stance.CURRENT or by_left is Stance.EVENT:
            return by_left
        rest = g.WHO.sub("", rest, count=1)
    by_right = _from_right(rest, fact)
    if by_right is not None and by_right is not Stance.NEUTRAL:
        return by_right
    if g.L_FORMER.search(left) or g.L_AFTER.search(left):
        return Stance.ENDED
    if by_left:
        return by_left
    if by_right and g.R_APPOSED.match(right) and not g.PAST_OFFICE.search(left):
        return Stance.CURRENT
    if _in_office(marked, position, left, right):
        return Stance.CURRENT
    if by_right:
        return by_right
    if g.R_APPOSED.match(right) and not g.PAST_OFFICE.search(left):
        return Stance.CURRENT
    spoken = g.VERB.search(marked[:position] + " " + marked[position + 1 :]) or _says_more(
        left + " " + right
    )
    if spoken and g.L_OTHER_SITE.search(left):
        return Stance.NEUTRAL
    return Stance.UNREAD if spoken else Stance.CURRENT


def _says_more(around: str) -> bool:
    """There is more around the name than a title or a date: it is no bare answer."""
    words = re.findall(r"(?<!\w)[a-z][\w'’]+", re.sub(g.OFFICE, " ", around))
    return len([w for w in words if w not in _PLAIN]) > 1


_PLAIN = frozenset(
    re.findall(
        r"\w+",
        "of in the for since from by option answer as at now with an and final correct it that "
        "would "
        "is "
        "currently today here who name",
    )
)


_THAT_WOULD = re.compile(r"^\W*(?:well, )?(?:that|this|it) would be\W*$", re.IGNORECASE)


def _in_office(marked: str, position: int, left: str, right: str) -> bool:
    """The name stands behind its office in a statement of the present: `France's president, O,
    says`."""
    before = marked[:position]
    if g.R_SEATED.match(right) and re.search(r"\bwith (?:\w+ ){0,2}$", left, re.IGNORECASE):
        return not g.PAST_OFFICE.search(left[-60:])
    if g.PAST_OFFICE.search(left[-120:]):
        return False
    if not any(p.search(before) for p in (g.L_TITLE, g.L_OFFICE_NAME, g.L_INCUMBENT)):
        return False
    return bool(g.R_PRESENT.match(right) or g.L_PRESENT.search(left))


def _denied(marked: str, position: int, left: str, right: str, rest: str) -> Stance | None:
    before = marked[:position]
    negated = g.R_NEGATED.match(rest)
    if g.L_BUT.search(before):
        return Stance.CURRENT
    if g.L_FALSE.search(left):
        return Stance.CURRENT if negated else Stance.NEGATED
    if g.L_NEGATED.search(left):
        return Stance.NEGATED
    if g.L_CLAIM.search(left) and not g.L_TRUE.search(left):
        if g.R_FALSE.search(right):
            return Stance.NEGATED
        return Stance.CURRENT if g.R_TRUE.search(right) else Stance.NEUTRAL
    if negated or g.R_OTHER_PERSON.match(rest):
        return Stance.NEGATED
    first = not re.search(g.ANY, before)
    denies = first and g.R_THEIRS.match(marked[position + 1 :])
    return Stance.NEGATED if denies else None


def _from_right(rest: str, fact: Fact) -> Stance | None:
    """The stance by the verb that follows the name; NEUTRAL for a statement about something
    else.
    """
    if g.R_POSSESSIVE_END.match(rest):
        return Stance.ENDED
    if g.R_POSSESSIVE_EVENT.match(rest):
        return Stance.EVENT
    if g.R_POSSESSIVE_CURRENT.match(rest):
        return Stance.CURRENT
    if g.R_FUTURE.match(rest):
        return Stance.NEUTRAL
    if g.R_ENDED.match(rest):
        if g.R_THEN.search(rest):
            return Stance.EVENT
        if about_another_office(rest, fact.asked):
            return Stance.NEUTRAL
        if left_another_office(rest, fact.asked, fact.subject):
            return Stance.NEUTRAL
        if g.R_WAS.match(rest) and elsewhere(rest, fact.subject):
            return Stance.WAS
        if fact.persons and g.R_WAS.match(rest) and _some_other_past(rest, fact):
            return Stance.WAS
        return Stance.ENDED
    if g.R_EVENT.match(rest):
        return Stance.NEUTRAL if elsewhere(rest, fact.subject) else Stance.EVENT
    if g.R_ASIDE.match(rest):
        return Stance.NEUTRAL
    if leads_another(rest, fact.subject):
        return Stance.NEUTRAL
    led = g.R_LEADS_OTHER.match(rest)
    if led and led.group().split()[-1] not in fact.asked:
        return Stance.NEUTRAL
    if g.R_CURRENT.match(rest):
        other = elsewhere(rest, fact.subject) or about_another_office(rest, fact.asked)
        return Stance.NEUTRAL if other else Stance.CURRENT
    if g.R_WAS.match(rest):
        return Stance.EVENT if g.R_THEN.search(rest) else Stance.WAS
    return None


def _some_other_past(rest: str, fact: Fact) -> bool:
    """What somebody did until some year, where it is not said to be the office: `worked at a bank
    until 2019`."""
    said = g.R_DID.match(rest)
    if said is None or g.S in rest or len(said.group("what").split()) < 2:
        return False
    return not same_office(rest, fact.asked)


def _from_left(marked: str, left: str, right: str, fact: Fact) -> Stance | None:
    """The stance by what leads up to the name."""
    if g.L_SUCCESSOR.search(left):
        return None if g.L_FUTURE.search(left) else Stance.EVENT
    if g.L_WAS.search(left):
        return Stance.ENDED if g.END_WORDS.search(marked) else Stance.WAS
    if g.L_CURRENT.search(left) or g.L_UNDER.search(left):
        return Stance.CURRENT
    if fact.persons:
        return None
    if g.L_RUN_FROM.search(left):
        return Stance.CURRENT
    if g.L_MOVED.search(left):
        return None
    if g.L_OTHER_SITE.search(left):
        return None
    sited = g.L_SITED.search(left) and not re.match(r"\s*(?:is|was|had|has)\b", right)
    member = g.R_MEMBER.match(right) and re.search(r"\b(?:is|a|an)\b[\w ]*$", left)
    return Stance.CURRENT if sited or member else None
