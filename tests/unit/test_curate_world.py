"""Narratives of real successions of the world table: correct ones pass, planted errors do not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import pytest

from agents.drafting.draft import DraftRequest
from agents.drafting.template import write
from agents.evidence.extract import Extraction, extract
from agents.evidence.sources import Dossier
from agents.proposals import dated
from agents.verifying.dates import mentions
from agents.verifying.rules import check
from daemon.bench.curator_wiki import Wiki
from knowledge.facts import ChangeKind, Date, FactChange
from knowledge.narrative import CausalNarrative, ClaimKind
from knowledge.world import Succession, World

COUNT = 80
CAUSES = ("resignation", "death", "end of term", "election defeat", "dismissal", "retirement", "")
Drawn = tuple[CausalNarrative, Dossier, Extraction]


def grounded(succession: Succession, cause: str) -> tuple[Dossier, Extraction]:
    wiki, old, new = Wiki(), succession.old, succession.new
    for entity in (succession.subject, old.object, new.object):
        wiki.item(entity.id, entity.label, *entity.aliases)
    wiki.item("Q999999001", cause or "none")
    ended = old.end.iso() if old.end else "2023-02"
    started = new.start.iso() if new.start else ended
    subject, property_id = succession.subject, succession.property
    change = FactChange(
        subject=subject,
        property=property_id,
        old=old.object,
        new=new.object,
        kind=ChangeKind.SUCCESSION,
        old_statement=wiki.state(
            subject.id,
            property_id,
            old.object.id,
            P580="2015-05-04",
            P582=ended,
            P1534="Q999999001" if cause else "",
        ),
        new_statement=wiki.state(subject.id, property_id, new.object.id, P580=started),
    )
    dossier = asyncio.run(wiki.source().gather(change))
    extraction = extract(dossier)
    return replace(dossier, change=dated(dossier.change, extraction)), extraction


@lru_cache(maxsize=1)
def drawn() -> list[Drawn]:
    rng = random.Random(8)
    successions = World.load().successions
    found: list[Drawn] = []
    for number, succession in enumerate(rng.sample(successions, min(COUNT, len(successions)))):
        dossier, extraction = grounded(succession, CAUSES[number % len(CAUSES)])
        request = DraftRequest(change=dossier.change, extraction=extraction, attempt=number)
        found.append((write(request), dossier, extraction))
    return found


def bent(narrative: CausalNarrative, kind: ClaimKind, change: Callable[[str], str]):
    """One claim changed, in the claim and in the prose; None when nothing changed."""
    old = narrative.claim(kind).text
    new = change(old)
    claims = tuple(replace(c, text=new) if c.kind is kind else c for c in narrative.claims)
    made = replace(narrative, claims=claims, prose=narrative.prose.replace(old, new, 1))
    return None if old == new else made


def _name(narrative: CausalNarrative, dossier: Dossier, rng: random.Random):
    change = dossier.change
    assert change.new
    other = rng.choice([d.change.new.label for _, d, _ in drawn() if d.change.new])
    if other in (change.new.label, change.old.label if change.old else "", change.subject.label):
        return None
    label = change.new.label
    return bent(narrative, ClaimKind.NEW, lambda t: t.replace(label, other))


def _date(narrative: CausalNarrative, dossier: Dossier, rng: random.Random):
    for kind in (ClaimKind.TRANSITION, ClaimKind.NEW, ClaimKind.LEGACY):
        text = narrative.claim(kind).text
        for found in mentions(text):
            date = found.date
            if date is None or date not in (dossier.change.started, dossier.change.ended):
                continue
            choices = [replace(date, year=date.year + 1), replace(date, year=date.year - 1)]
            choices += [Date(date.year, 5)] if not date.month else []
            said = rng.choice(choices).text()
            cut = text[: found.start] + said + text[found.end :]
            return bent(narrative, kind, lambda _, cut=cut: cut)
    return None


def _number(narrative: CausalNarrative, dossier: Dossier, rng: random.Random):
    return bent(narrative, ClaimKind.NEW, lambda t: t.replace(" is ", f" is {rng.randint(2, 90)} "))


def _direction(narrative: CausalNarrative, dossier: Dossier, rng: random.Random):
    change = dossier.change
    assert change.old and change.new
    a, b = change.old.label, change.new.label
    swap = bent(
        narrative,
        ClaimKind.TRANSITION,
        lambda t: t.replace(a, "\0").replace(b, a).replace("\0", b),
    )
    return None if a in b or b in a else swap


def _cause(narrative: CausalNarrative, dossier: Dossier, rng: random.Random):
    other = rng.choice([c for c in CAUSES if c and c != narrative.cause])
    made = bent(narrative, ClaimKind.CAUSE, lambda _: f"The reason was {other}.")
    return replace(made, cause=rng.choice([narrative.cause, other])) if made else None


def test_what_is_drawn_from_the_evidence_passes() -> None:
    assert [(n.prose, f) for n, d, x in drawn() if (f := check(n, d, x))] == []


@pytest.mark.parametrize("plant", [_name, _date, _number, _direction, _cause])
def test_a_planted_error_does_not(
    plant: Callable[[CausalNarrative, Dossier, random.Random], CausalNarrative | None],
) -> None:
    rng = random.Random(9)
    made = [(b, d, x) for n, d, x in drawn() if (b := plant(n, d, rng))]
    assert len(made) > COUNT // 4
    assert [b.prose for b, d, x in made if not check(b, d, x)] == []
