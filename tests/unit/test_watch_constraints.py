"""What a property demands of its values: read, checked in three states, and held where broken."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from agents.demands import Demands
from agents.ledger import CandidateState
from agents.wikidata.api import Fetched
from agents.wikidata.constraints import Check, Demand, examine, read_constraints, verdict
from agents.wikidata.entity import parse_entity
from agents.wikidata.errors import Refused, Unreachable
from agents.wikidata.side import SideFacts
from daemon.demo.wikidata.properties import property_entity
from knowledge.facts import ChangeKind
from tests.fakes_wiki import claim, constraint, time_snak
from tests.unit.test_watch_classes import A_ENDED, A, B, Scene

SINGLE, BEST, TYPE, ONE_OF, NONE_OF, CONTEMPORARY = (
    "Q19474404",
    "Q52060874",
    "Q21510865",
    "Q21510859",
    "Q52558054",
    "Q25796498",
)
HUMAN = constraint("c1", TYPE, P2308=("Q5",), P2309=("Q21503252",))


def doc(item: str, **claims: Any):
    return parse_entity({"id": item, "claims": claims})


def is_a(item: str, *classes: str):
    return doc(item, P31=[claim(f"{item}${c}", "P31", c) for c in classes])


def under(item: str, *classes: str):
    return doc(item, P279=[claim(f"{item}${c}", "P279", c) for c in classes])


FACTS = SideFacts(
    {
        "Q11": is_a("Q11", "Q5"),
        "Q12": is_a("Q12", "Q100"),
        "Q100": under("Q100", "Q101"),
        "Q101": under("Q101"),
        "Q13": is_a("Q13", "Q200"),
        "Q14": doc("Q14"),
        "Q15": doc(
            "Q15", P570=[{"id": "d", "rank": "normal", "mainsnak": time_snak("P570", "2020-03-01")}]
        ),
    }
)


def checks(*stated: dict[str, Any], new: dict[str, Any], beside: tuple[dict[str, Any], ...] = ()):
    read = read_constraints(doc("P6", P2302=list(stated)))
    group = doc("Q1", P6=[new, *beside]).claims["P6"]
    return examine(read, "Q1", group[0], group, FACTS)


def state(kind: Demand, *stated: dict[str, Any], **how: Any) -> Check:
    return next(f.check for f in checks(*stated, **how) if f.kind is kind)


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [
        ("Q11", ("Q5",), Check.PASS),
        ("Q12", ("Q101",), Check.PASS),
        ("Q12", ("Q7", "Q100"), Check.PASS),
        ("Q12", ("Q7",), Check.VIOLATED),
        ("Q13", ("Q7",), Check.UNKNOWN),  # its class is not at hand
        ("Q14", ("Q5",), Check.UNKNOWN),  # nothing is told of what it is
        ("Q99", ("Q5",), Check.UNKNOWN),
        ("Q11", (), Check.UNKNOWN),
    ],
)
def test_value_type_by_the_closure_of_classes(
    value: str, wanted: tuple[str, ...], expected: Check
) -> None:
    stated = constraint("c", TYPE, P2308=wanted, P2309=("Q21503252",))
    assert state(Demand.VALUE_TYPE, stated, new=claim("s", "P6", value)) is expected


def test_a_subclass_is_not_an_instance() -> None:
    value = claim("s", "P6", "Q100")
    by_subclass = constraint("c", TYPE, P2308=("Q101",), P2309=("Q21514624",))
    by_instance = constraint("c", TYPE, P2308=("Q101",), P2309=("Q21503252",))
    either = constraint("c", TYPE, P2308=("Q101",), P2309=("Q30208840",))
    assert state(Demand.VALUE_TYPE, by_subclass, new=value) is Check.PASS
    assert state(Demand.VALUE_TYPE, by_instance, new=value) is Check.UNKNOWN
    assert state(Demand.VALUE_TYPE, either, new=value) is Check.PASS


def test_single_value_within_separators() -> None:
    new = claim("s", "P6", "Q11", start="2024-05-02")
    other = claim("t", "P6", "Q12", start="2019")
    for kind in (SINGLE, BEST):
        plain, by_start = constraint("c", kind), constraint("c", kind, P4155=("P580",))
        assert state(Demand.SINGLE_VALUE, plain, new=new) is Check.PASS
        assert state(Demand.SINGLE_VALUE, plain, new=new, beside=(other,)) is Check.VIOLATED
        assert state(Demand.SINGLE_VALUE, by_start, new=new, beside=(other,)) is Check.PASS


def test_lists_of_values_and_the_dead() -> None:
    of = constraint("c", ONE_OF, P2305=("Q11", "Q12"))
    assert state(Demand.ONE_OF, of, new=claim("s", "P6", "Q12")) is Check.PASS
    assert state(Demand.ONE_OF, of, new=claim("s", "P6", "Q13")) is Check.VIOLATED
    none = constraint("c", NONE_OF, P2305=("Q11",))
    assert state(Demand.NONE_OF, none, new=claim("s", "P6", "Q11")) is Check.VIOLATED
    assert state(Demand.NONE_OF, none, new=claim("s", "P6", "Q12")) is Check.PASS
    alive = constraint("c", CONTEMPORARY)
    for start, expected in (("2019", Check.PASS), ("2020", Check.PASS), ("2021", Check.VIOLATED)):
        new = claim("s", "P6", "Q15", start=start)
        assert state(Demand.CONTEMPORARY, alive, new=new) is expected
    assert state(Demand.CONTEMPORARY, alive, new=claim("s", "P6", "Q15")) is Check.UNKNOWN


def test_exceptions_pass_and_hints_and_deprecated_demands_do_not_count() -> None:
    new, beside = claim("s", "P6", "Q11"), (claim("t", "P6", "Q12"),)
    excepted = constraint("c", SINGLE, P2303=("Q1",))
    assert state(Demand.SINGLE_VALUE, excepted, new=new, beside=beside) is Check.PASS
    for loose in (
        constraint("c", SINGLE, P2316=("Q62026391",)),
        constraint("c", SINGLE, rank="deprecated"),
    ):
        assert state(Demand.SINGLE_VALUE, loose, new=new, beside=beside) is Check.UNKNOWN


def test_what_is_not_demanded_or_not_decidable_never_passes() -> None:
    new = claim("s", "P6", "Q14")
    assert verdict(checks(new=new)) is Check.UNKNOWN
    assert verdict(examine(None, "Q1", None, (), FACTS)) is Check.UNKNOWN
    best = constraint("c2", BEST)
    assert verdict(checks(best, new=new)) is Check.PASS
    assert verdict(checks(best, HUMAN, new=new)) is Check.UNKNOWN
    assert verdict(checks(best, HUMAN, new=claim("s", "P6", "Q12"))) is Check.VIOLATED


# -- in the watch -------------------------------------------------------------------------------


def constrained(*stated: dict[str, Any]) -> Scene:
    scene = Scene()
    scene.wiki.item("P6", "head of government", *stated)
    return scene


def test_a_head_of_government_that_is_a_city_is_held_and_let_go_when_it_is_mended() -> None:
    scene = constrained(HUMAN)
    scene.wiki.item("Q515", "city", claim("x", "P279", "Q1000"))
    scene.wiki.item("Q1000", "settlement")
    scene.wiki.item("Q40", "Springfield", P31=["Q515"])
    odd = claim("s2", "P6", "Q40", start="2024-05-02")
    bad = scene.set(A_ENDED, odd)
    scene.wait(20)
    assert scene.settled() == []
    assert scene.kind(bad) == ChangeKind.VANDALISM_SUSPECT
    assert "value type constraint of P6" in scene.ledger.verdicts["Q1", bad].reason
    scene.set(A_ENDED, B)
    scene.wait(5)
    assert scene.settled() == [("Q11", "Q12")]


def test_a_change_that_meets_its_constraints_settles_and_tells_them() -> None:
    scene = constrained(HUMAN, constraint("c2", BEST))
    scene.set(A_ENDED, B)
    lines = asyncio.run(scene.watcher.explain("Q1"))
    assert "      value type: pass, Q12 is of Q5" in lines
    assert "      one of: unknown, no one of constraint" in lines
    scene.wait(5)
    assert scene.settled() == [("Q11", "Q12")]
    told = scene.ledger.settled()[0].context["constraints"]
    assert told == {"value type": "pass", "single value": "pass", "one of": "unknown"}


def test_a_retraction_is_not_held_by_constraints() -> None:
    scene = Scene(A)
    scene.set(A_ENDED, B)
    scene.wait(5)
    scene.wiki.item("P6", "head of government", constraint("c", ONE_OF, P2305=("Q12",)))
    scene.wiki.restore("Q1", scene.base)
    scene.wait(5)
    assert scene.settled() == [("Q11", "Q12"), ("Q12", "Q11")]


class _Properties:
    def __init__(self, *answers: Exception | Fetched) -> None:
        self.answers = list(answers)

    async def entities(self, items: Any) -> Fetched:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_constraints_are_kept_for_a_day_and_asked_again_after_a_fault() -> None:
    now = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    clock = [now]
    good = Fetched(docs={"P6": doc("P6", P2302=[HUMAN])})
    source = _Properties(Unreachable("down"), good, Refused("no such property"))
    demands = Demands(source, lambda: clock[0])

    def ask() -> Any:
        return asyncio.run(demands.of("P6"))

    assert ask() is None
    assert len(ask()) == 1
    clock[0] = now + dt.timedelta(hours=23)
    assert len(ask()) == 1 and len(source.answers) == 1
    clock[0] = now + dt.timedelta(hours=25)
    assert ask() is None and ask() is None and not source.answers


def test_the_local_wikidata_states_constraints_that_are_read() -> None:
    raw = property_entity("P6", ["info", "labels", "claims"], ["en"])
    found = read_constraints(parse_entity(raw))
    assert {c.kind for c in found} == {Demand.SINGLE_VALUE, Demand.VALUE_TYPE}
    single = next(c for c in found if c.kind is Demand.SINGLE_VALUE)
    assert single.separators == ("P580", "P582")
    assert property_entity("P1", ["info"], []) is None


def test_a_candidate_that_becomes_a_violation_is_dismissed_with_the_reason() -> None:
    scene = Scene()
    scene.set(A_ENDED, B)
    scene.look()
    scene.wiki.item("P6", "head of government", constraint("c", ONE_OF, P2305=("Q11",)))
    scene.wait(5)
    candidate = next(iter(scene.ledger.candidates.values()))
    assert candidate.state is CandidateState.DISMISSED
    assert "one of constraint" in candidate.reason
