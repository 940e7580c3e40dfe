"""Planted errors: correct narratives with one thing wrong, and what the rules say of both.

Owns the errors: a name, a date, a number, the direction of the change, the cause. Each changes one
claim and the prose with it, as a drafter would have erred; how, is drawn anew for each run.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from agents.drafting.draft import DraftRequest
from agents.drafting.template import write
from agents.evidence.extract import Extraction, FactKind, extract
from agents.evidence.sources import Dossier
from agents.proposals import dated
from agents.verifying.dates import Mention, mentions
from agents.verifying.rules import check
from daemon.bench.curator_cases import Case
from knowledge.facts import Date
from knowledge.narrative import CausalNarrative, ClaimKind

CAUSES = (
    "resignation",
    "death",
    "end of term",
    "election defeat",
    "dismissal",
    "retirement",
    "impeachment",
    "coup",
    "merger",
)
_OFFICES = ("head of state", "chief executive", "captain", "rector", "owner", "spouse", "treasurer")
_UNKNOWN = "The reason is not known."


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A correct narrative with what it is judged by."""

    narrative: CausalNarrative
    dossier: Dossier
    extraction: Extraction

    def passes(self, narrative: CausalNarrative) -> bool:
        return not check(narrative, self.dossier, self.extraction)


@dataclass(slots=True)
class Tally:
    """How many errors of a kind were planted and caught, and those that were not, as prose."""

    planted: int = 0
    caught: int = 0
    missed: list[str] = field(default_factory=list)


async def draw(case: Case, attempt: int) -> Drawn:
    """The template's narrative of a case; correct by construction, whatever the rules say."""
    dossier = await case.source.gather(case.change)
    extraction = extract(dossier)
    dossier = replace(dossier, change=dated(dossier.change, extraction))
    request = DraftRequest(change=dossier.change, extraction=extraction, attempt=attempt)
    return Drawn(narrative=write(request), dossier=dossier, extraction=extraction)


def plant(drawn: Sequence[Drawn], rng: random.Random) -> dict[str, Tally]:
    """Every kind of error in every narrative that has a place for it, judged by the rules."""
    others = [d.dossier.change.new.label for d in drawn if d.dossier.change.new]
    kinds: dict[str, Callable[[Drawn], CausalNarrative | None]] = {
        "name": lambda d: _name(d, rng, others),
        "date": lambda d: _date(d, rng),
        "number": lambda d: _number(d, rng),
        "direction": lambda d: _direction(d, rng),
        "cause": lambda d: _cause(d, rng),
    }
    found: dict[str, Tally] = {}
    for name, kind in kinds.items():
        tally = found.setdefault(name, Tally())
        for one in drawn:
            made = kind(one)
            if made is None:
                continue
            tally.planted += 1
            if one.passes(made):
                tally.missed.append(made.prose)
            else:
                tally.caught += 1
    return found


def _bent(one: Drawn, kind: ClaimKind, change: Callable[[str], str]) -> CausalNarrative | None:
    """One claim changed, in the claim and in the prose; None when nothing changed."""
    narrative = one.narrative
    old = narrative.claim(kind).text
    new = change(old)
    claims = tuple(replace(c, text=new) if c.kind is kind else c for c in narrative.claims)
    made = replace(narrative, claims=claims, prose=narrative.prose.replace(old, new, 1))
    return None if old == new else made


def _name(one: Drawn, rng: random.Random, others: Sequence[str]) -> CausalNarrative | None:
    """Somebody else's name, a name that is nobody's, or another office."""
    change = one.dossier.change
    assert change.old and change.new
    mine = (change.subject.label, change.old.label, change.new.label)
    pool = [n for n in others if not any(n in m or m in n for m in mine)]
    places: list[tuple[ClaimKind, str]] = [
        (kind, label)
        for kind in (ClaimKind.LEGACY, ClaimKind.TRANSITION, ClaimKind.NEW)
        for label in mine
        if label in one.narrative.claim(kind).text
    ]
    kind, label = rng.choice(places)
    how = rng.randrange(3)
    if how == 2:
        role = re.search(r"the ([a-z][a-z -]+) of ", one.narrative.claim(kind).text)
        offices = [o for o in _OFFICES if role and o != role.group(1)]
        if role and offices:
            office = rng.choice(offices)
            return _bent(one, kind, lambda t: t.replace(role.group(1), office, 1))
    wrong = rng.choice(pool) if how == 0 and pool else rng.choice(("Ada Quist", "Tom Verrick"))
    return _bent(one, kind, lambda t: t.replace(label, wrong))


def _date(one: Drawn, rng: random.Random) -> CausalNarrative | None:
    """A date moved by days, months or years, or told more finely than the evidence knows it."""
    change = one.dossier.change
    dates = [d for d in (change.started, change.ended) if d]
    places: list[tuple[ClaimKind, Mention]] = []
    for kind in (ClaimKind.TRANSITION, ClaimKind.NEW, ClaimKind.LEGACY):
        found = mentions(one.narrative.claim(kind).text)
        places += [(kind, m) for m in found if m.date in dates]
    if not places:
        return None
    kind, place = rng.choice(places)
    date = place.date
    assert date is not None
    wrong = [Date(date.year + rng.choice((-2, -1, 1, 5)), date.month, min(date.day or 1, 28))]
    if date.month:
        wrong.append(Date(date.year, date.month % 12 + 1, min(date.day, 28) if date.day else None))
    else:
        wrong = [Date(wrong[0].year), Date(date.year, rng.randint(1, 12))]
    if date.day:
        wrong.append(Date(date.year, date.month, date.day % 28 + 1))
    text = one.narrative.claim(kind).text
    said = text[: place.start] + rng.choice(wrong).text() + text[place.end :]
    return _bent(one, kind, lambda _: said)


def _number(one: Drawn, rng: random.Random) -> CausalNarrative | None:
    """A number that no evidence has: a count, an ordinal, a share."""
    kind = rng.choice((ClaimKind.LEGACY, ClaimKind.TRANSITION, ClaimKind.NEW))
    number = rng.randint(2, 97)
    said = rng.choice((f"for {number} years", f"with {number} percent", f"as number {number}"))
    return _bent(one, kind, lambda t: f"{t.rstrip('.')} {said}.")


def _direction(one: Drawn, rng: random.Random) -> CausalNarrative | None:
    """Old and new exchanged: in the transition, or between the legacy and the new claim."""
    change = one.dossier.change
    assert change.old and change.new
    a, b = change.old.label, change.new.label
    if a in b or b in a:
        return None

    def swapped(text: str) -> str:
        return text.replace(a, "\0").replace(b, a).replace("\0", b)

    both = a in one.narrative.claim(ClaimKind.TRANSITION).text
    kinds = [ClaimKind.TRANSITION] if both else []
    kind = rng.choice([*kinds, ClaimKind.LEGACY, ClaimKind.NEW])
    return _bent(one, kind, swapped)


def _cause(one: Drawn, rng: random.Random) -> CausalNarrative | None:
    """Another cause, one where none is known, none where one is stated, or one blown up."""
    stated = one.extraction.first(FactKind.CAUSE)
    other = rng.choice([c for c in CAUSES if not stated or c not in stated.value])
    said = [f"The reason was {other}.", f"It happened because of {other}."]
    if stated:
        said += [_UNKNOWN, f"The reason was {stated.value} after a scandal.", "No cause is stated."]
    made = _bent(one, ClaimKind.CAUSE, lambda _: rng.choice(said))
    return replace(made, cause=rng.choice((made.cause, other))) if made else None
