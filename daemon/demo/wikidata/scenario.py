"""The scenario: successions of the table as they are edited on Wikidata, among noise, from a seed.

Owns the choice of successions, their patterns, how much noise there is, and the answer key.
Pure: the same world, seed and sizes give the same revisions.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from daemon.demo.wikidata import chores, noise, patterns, rewordings, vocabulary
from daemon.demo.wikidata.editors import Cast
from daemon.demo.wikidata.edits import NOISE_KINDS, Edit, Kind, Pattern
from daemon.demo.wikidata.entities import Catalogue
from daemon.demo.wikidata.errors import ScenarioError
from daemon.demo.wikidata.plan import DAY, FACTS_SETTLED, LENGTH_DAYS, Plan
from daemon.demo.wikidata.timeline import Timeline, initial_edits
from knowledge.world import Split, Succession, World

START = dt.datetime(2025, 9, 1, tzinfo=dt.UTC)
"""The first moment of a scenario, unless one of its successions is younger."""

_FULL_NOISE = 2000
_FLOOR = 50
_ATTEMPTS = 400


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Everything that a local Wikidata serves, and what is true of it.

    `initial` holds each item's revision before `start`; `edits` follow in order of time and of
    revision. `expected` is the answer key: slot (`subject:property`) -> ids of the old and the new
    holder. `begun` tells when the first edit of each expected succession is.
    """

    seed: int | str
    start: dt.datetime
    end: dt.datetime
    initial: dict[str, Edit]
    edits: tuple[Edit, ...]
    successions: tuple[Succession, ...]
    expected: dict[str, tuple[str, str]]
    patterns: dict[str, Pattern]
    begun: dict[str, dt.datetime]
    world: World

    @cached_property
    def by_revision(self) -> dict[int, Edit]:
        return {e.revision: e for e in (*self.initial.values(), *self.edits)}

    @cached_property
    def counts(self) -> Counter[Kind]:
        """Edits by what they really are."""
        return Counter(e.truth.kind for e in self.edits if e.truth)

    @property
    def noise_edits(self) -> int:
        return sum(self.counts[kind] for kind in NOISE_KINDS)


def build_scenario(
    world: World,
    seed: int | str,
    successions: int | tuple[str, ...] = 40,
    noise: int = _FULL_NOISE,
) -> Scenario:
    """Build a scenario with these successions (how many, or which slots) and so many noise edits.

    At least 50 edits of each noise kind for 2,000 in all, in proportion for fewer, one at least.
    Raises ScenarioError when the world has too few successions or no place for some noise.
    """
    rng = random.Random(f"{seed}:scenario")
    chosen = _chosen(world, rng, successions)
    start = _start(chosen)
    assigned = patterns.assigned(rng, chosen)
    ranks = _ranks(world, rng, chosen, assigned)
    catalogue = Catalogue(world, random.Random(f"{seed}:items"), ranks)
    plan = Plan(
        catalogue=catalogue,
        cast=Cast(random.Random(f"{seed}:cast"), start),
        rng=rng,
        start=start,
        expected=frozenset((s.subject.id, s.property) for s in chosen),
    )
    begun: dict[str, dt.datetime] = {}
    for succession in chosen:
        pattern = assigned[succession.slot]
        at = patterns.plan_succession(plan, succession, pattern, FACTS_SETTLED - 2 * DAY)
        begun[succession.slot] = start + dt.timedelta(seconds=at)
    _plan_noise(plan, _targets(world, catalogue, plan), noise)
    initial = initial_edits(catalogue.items, plan.cast.regulars, start, seed)
    edits = Timeline(initial, start, seed).apply(plan.steps)
    return Scenario(
        seed=seed,
        start=start,
        end=start + dt.timedelta(days=LENGTH_DAYS),
        initial=initial,
        edits=edits,
        successions=chosen,
        expected={s.slot: (s.old.object.id, s.new.object.id) for s in chosen},
        patterns=assigned,
        begun=begun,
        world=world,
    )


def _chosen(
    world: World, rng: random.Random, successions: int | tuple[str, ...]
) -> tuple[Succession, ...]:
    if isinstance(successions, int):
        pool = world.split(Split.SCENARIO)
        if successions > len(pool):
            raise ScenarioError(
                f"{successions} successions were asked for, but the table has {len(pool)} of split "
                "'scenario'; ask for fewer or name slots"
            )
        return tuple(rng.sample(pool, successions))
    known = {s.slot: s for s in world.successions}
    missing = [slot for slot in successions if slot not in known]
    if missing:
        raise ScenarioError(f"the table has no succession of {', '.join(missing)}")
    return tuple(known[slot] for slot in successions)


def _start(chosen: tuple[Succession, ...]) -> dt.datetime:
    """No succession may be entered before it has happened."""
    days = [f.start.earliest() for s in chosen if (f := s.new).start]
    days += [s.old.end.earliest() for s in chosen if s.old.end]
    latest = max(days, default=START.date()) + dt.timedelta(days=1)
    if latest <= START.date():
        return START
    return dt.datetime.combine(latest, dt.time(), dt.UTC)


def _ranks(
    world: World,
    rng: random.Random,
    chosen: tuple[Succession, ...],
    assigned: dict[str, Pattern],
) -> dict[tuple[str, str], str]:
    ranks = {
        (s.subject.id, s.property): rng.choice(("preferred", "normal")) for s in world.successions
    }
    for s in chosen:
        ranks[s.subject.id, s.property] = patterns.INITIAL_RANK[assigned[s.slot]]
    return ranks


def _targets(world: World, catalogue: Catalogue, plan: Plan) -> noise.Targets:
    successions = {(s.subject.id, s.property): s for s in world.successions}
    single = [f for f in world.stable if len(world.by_slot[f.subject.id, f.property]) == 1]
    kept = [f for f in single if f.property in vocabulary.HOLDER_PROPERTIES]
    holders = [s.old for s in successions.values()] + kept
    # Scenario subjects draw about half of the fact noise, so that no succession is left in peace.
    asked = [s.old for key, s in successions.items() if key in plan.expected]
    weight = max(1, (len(holders) - len(asked)) // (2 * max(1, len(asked))))
    candidates: dict[str, list[str]] = {}
    for fact in world.facts:
        if fact.property in vocabulary.HOLDER_PROPERTIES:
            pool = candidates.setdefault(fact.property, [])
            if fact.object.id not in pool:
                pool.append(fact.object.id)
    for succession in successions.values():
        candidates.setdefault(succession.property, [succession.old.object.id])
    return noise.Targets(
        holders=holders + asked * weight,
        places=[f for f in single if f.property in vocabulary.PLACE_PROPERTIES],
        stable=single,
        candidates=candidates,
        histories={
            (f.subject.id, f.property): frozenset(
                held.object.id for held in world.by_slot[f.subject.id, f.property]
            )
            for f in holders
        },
    )


def _plan_noise(plan: Plan, targets: noise.Targets, wanted: int) -> None:
    """Plan every kind up to its share, with a little over for edits that change nothing."""
    if not wanted:
        return
    for name, facts in (("stable", targets.stable), ("place-valued stable", targets.places)):
        if not facts:
            raise ScenarioError(f"the table has no {name} facts for the noise to play on")
    floor = max(1, _FLOOR * wanted // _FULL_NOISE)
    for kind, (planner, share) in {
        **chores.PLANNERS,
        **noise.PLANNERS,
        **rewordings.PLANNERS,
    }.items():
        goal = max(round(floor * 1.15) + 1, round(wanted * share * 1.08))
        if kind is Kind.BULK_RUN:
            _plan_runs(plan, targets, goal)
            continue
        planned = attempts = 0
        while planned < goal:
            made = planner(plan, targets)
            planned += made
            attempts = 0 if made else attempts + 1
            if attempts > _ATTEMPTS:
                raise ScenarioError(
                    f"only {planned} of {goal} edits of noise '{kind}' found room; ask for less "
                    "noise or give a larger table"
                )


def _plan_runs(plan: Plan, targets: noise.Targets, goal: int) -> None:
    """Full-sized runs, or one small run where the whole share is smaller than that."""
    size = min(chores.RUN_ITEMS, goal)
    while goal > 0:
        goal -= max(chores.bulk_run(plan, targets, size), 1)
