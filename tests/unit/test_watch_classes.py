"""Every pattern of a succession is kept and every kind of noise dismissed, edit by edit."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence

import pytest

from agents.ledger import CandidateState, DirtyMark
from agents.watch import Watcher, WatchSettings
from agents.wikidata.api import Fetched
from agents.wikidata.errors import Refused
from knowledge.facts import ChangeKind
from tests.fakes_ledger import MemoryLedger
from tests.fakes_wiki import FakeWiki, claim, constraint

A = claim("s1", "P6", "Q11", start="2019-03-01", rank="preferred")
A_NORMAL = claim("s1", "P6", "Q11", start="2019-03-01")
A_ENDED = claim("s1", "P6", "Q11", start="2019-03-01", end="2024-05-02")
A_ENDED_PREFERRED = claim("s1", "P6", "Q11", start="2019-03-01", end="2024-05-02", rank="preferred")
B = claim("s2", "P6", "Q12", start="2024-05-02")
B_BARE = claim("s2", "P6", "Q12")
B_PREFERRED = claim("s2", "P6", "Q12", start="2024-05-02", rank="preferred")


class Scene:
    """One watched country with a head of government, and a watcher whose clock follows the wiki."""

    def __init__(self, *base: dict, settings: WatchSettings | None = None) -> None:
        self.wiki = FakeWiki()
        for item, label in (("Q11", "Ann Old"), ("Q12", "Ben New"), ("Q13", "Cid Third")):
            self.wiki.item(item, label, P31=["Q5"])
        self.wiki.item("Q14", "Ann Old", P31=["Q5"])
        self.wiki.item("Q1", "Freedonia", *(base or (A,)))
        self.base = self.wiki.head("Q1")
        self.ledger = MemoryLedger(["Q1"])
        settings = settings or WatchSettings(debounce_min=0)
        self.watcher = Watcher(self.wiki, self.ledger, lambda: self.wiki.now, settings)
        self.look()

    def look(self) -> None:
        async def run() -> None:
            marks = [
                DirtyMark(item=i, revision=self.wiki.head(i), reason="sweep")
                for i in await self.ledger.watched()
            ]
            await self.ledger.mark(marks)
            for _ in range(4):
                await self.watcher.reconcile()

        asyncio.run(run())

    def wait(self, days: float = 40) -> None:
        """Let the time pass in steps of a day."""
        for _ in range(int(days)):
            self.wiki.now += dt.timedelta(days=1)
            self.look()

    def set(self, *claims: dict, **how) -> int:
        return self.wiki.set("Q1", *claims, **how)

    def settled(self) -> list[tuple[str | None, str | None]]:
        return [
            (c.change.old.id if c.change.old else None, c.change.new.id if c.change.new else None)
            for c in self.ledger.settled()
        ]

    def kept(self) -> set[int]:
        return {r for (i, r), v in self.ledger.verdicts.items() if v.kept and i == "Q1"}

    def kind(self, revision: int) -> str:
        return self.ledger.verdicts["Q1", revision].kind


STEPS = {
    "ended and replaced": [(A_ENDED,), (A_ENDED, B), (A_ENDED, B_PREFERRED)],
    "stale preferred rank": [(A, B), (A_ENDED_PREFERRED, B)],
    "ended and replaced at once": [(A_ENDED, B_PREFERRED)],
    "entered early": [(A, B_BARE), (A, B), (A_ENDED, B), (A_ENDED, B_PREFERRED)],
    "rank only": [(A_NORMAL, B), (A_NORMAL, B_PREFERRED)],
}


@pytest.mark.parametrize("look_each", [True, False])
@pytest.mark.parametrize("gap_hours", [1.0, 40.0, 100.0])
@pytest.mark.parametrize("name", STEPS)
def test_succession_is_kept_with_every_edit(name: str, gap_hours: float, look_each: bool) -> None:
    scene = Scene(A, B) if name == "rank only" else Scene()
    edits = []
    for step in STEPS[name]:
        edits.append(scene.set(*step, hours=gap_hours))
        if look_each:
            scene.look()
    scene.wait()
    assert scene.settled() == [("Q11", "Q12")]
    assert scene.kept() == set(edits)


def test_a_label_edit_between_is_not_kept() -> None:
    scene = Scene()
    first = scene.set(A_ENDED)
    scene.wiki.raw["Q1"]["labels"]["en"]["value"] = "Freedonia!"
    label = scene.wiki.save("Q1")
    second = scene.set(A_ENDED, B)
    scene.wait()
    assert scene.kept() == {first, second}
    assert scene.kind(label) == "label"


def test_reverted_vandalism_is_withdrawn() -> None:
    scene = Scene()
    bad = scene.set(A_ENDED, claim("s9", "P6", "Q13", start="2025-08-30"), user="~2025-31337")
    scene.look()
    assert [c.state for c in scene.ledger.candidates.values()] == [CandidateState.SETTLING]
    back = scene.wiki.restore("Q1", scene.base, hours=30, user="Patroller")
    scene.wait()
    assert scene.settled() == []
    assert [c.state for c in scene.ledger.candidates.values()] == [CandidateState.WITHDRAWN]
    assert scene.kind(bad) == ChangeKind.VANDALISM_SUSPECT
    assert scene.kind(back) == ChangeKind.REVERT
    assert not scene.kept()


def test_vandalism_inside_a_succession_is_not_kept() -> None:
    scene = Scene()
    first = scene.set(A_ENDED)
    bad = scene.set(A_ENDED, claim("s9", "P6", "Q13", start="2025-08-30"), user="192.0.2.7")
    scene.look()
    back = scene.set(A_ENDED, user="Patroller", tags=("mw-undo",))
    second = scene.set(A_ENDED, B)
    scene.wait()
    assert scene.settled() == [("Q11", "Q12")]
    assert scene.kept() == {first, second}
    assert not scene.ledger.verdicts["Q1", bad].kept
    assert not scene.ledger.verdicts["Q1", back].kept


NOISE = {
    "same-name person": ((claim("s1", "P6", "Q14", start="2019-03-01", rank="preferred"),),
                         ChangeKind.LINK_CHANGE),
    "same-name person, own statement": (
        (A_NORMAL, claim("s7", "P6", "Q14", start="2019-03-01", rank="preferred")),
        ChangeKind.LINK_CHANGE,
    ),
    "in-place overwrite": ((claim("s1", "P6", "Q13", start="2019-03-01", rank="preferred"),),
                           ChangeKind.CORRECTION),
    "future start": (
        (A, claim("s7", "P6", "Q13", start="2026-02-01")), ChangeKind.NOT_STARTED,
    ),
    "future start, preferred": (
        (A_NORMAL, claim("s7", "P6", "Q13", start="2026-02-01", rank="preferred")),
        ChangeKind.NOT_STARTED,
    ),
    "duplicate of the value": ((A, claim("s7", "P6", "Q11")), ChangeKind.DUPLICATE),
    "second holder without dates": ((A, claim("s7", "P6", "Q13")), ChangeKind.DUPLICATE),
    "second holder, rank normal too": ((A_NORMAL, claim("s7", "P6", "Q13")), ChangeKind.DUPLICATE),
    "acting": (
        (A_ENDED, claim("s7", "P6", "Q13", start="2025-08-01", rank="preferred", acting=True)),
        ChangeKind.ACTING,
    ),
    "finer date": ((claim("s1", "P6", "Q11", start="2019-03", rank="preferred"),),
                   ChangeKind.GRANULARITY),
    "past holder": ((A, claim("s7", "P6", "Q13", start="2011", end="2019")), ChangeKind.NO_CHANGE),
    "rank": ((A_NORMAL,), ChangeKind.RANK_ONLY),
}  # fmt: skip


@pytest.mark.parametrize("name", NOISE)
def test_noise_that_stands_is_dismissed(name: str) -> None:
    claims, kind = NOISE[name]
    scene = Scene()
    edit = scene.set(*claims)
    scene.wait(40)
    assert scene.settled() == []
    assert scene.kind(edit) == kind
    assert scene.ledger.verdicts["Q1", edit].reason
    assert not scene.kept()


def test_edit_war_is_frozen_on_either_side() -> None:
    for rounds in (2, 3):
        for end_on_new in (False, True):
            scene = Scene()
            edits = []
            for _ in range(rounds):
                edits.append(scene.set(A_ENDED, B, user="One", hours=3))
                scene.look()
                edits.append(scene.set(A, user="Two", hours=3))
            if end_on_new:
                edits.append(scene.set(A_ENDED, B, user="One", hours=3))
            scene.wait()
            assert scene.settled() == []
            assert {scene.kind(e) for e in edits} == {ChangeKind.REVERT}


def test_granularity_by_closure() -> None:
    scene = Scene()
    wiki = scene.wiki
    wiki.item("Q21", "Northtown", P131=["Q22"])
    wiki.item("Q22", "North County", P131=["Q23"])
    wiki.item("Q23", "North State")
    wiki.item("Q2", "Acme", claim("h1", "P159", "Q21"))
    asyncio.run(scene.ledger.watch(["Q2"]))
    scene.look()
    edit = wiki.set("Q2", claim("h1", "P159", "Q23"))
    scene.wait()
    assert scene.settled() == []
    assert scene.ledger.verdicts["Q2", edit].kind == ChangeKind.GRANULARITY


def test_merge_of_a_value_and_of_the_subject() -> None:
    scene = Scene()
    scene.wiki.item("Q15", "A. Old", P31=["Q5"])
    scene.wiki.redirects["Q11"] = "Q15"
    edit = scene.set(claim("s1", "P6", "Q15", start="2019-03-01", rank="preferred"))
    scene.wait(5)
    assert scene.kind(edit) == ChangeKind.MERGE
    scene.wiki.item("Q3", "Freedonia")
    merge = scene.wiki.save("Q1", comment="/* wbcreateredirect:0||Q1|Q3 */")
    scene.wiki.redirects["Q1"] = "Q3"
    scene.look()
    assert scene.kind(merge) == ChangeKind.MERGE
    assert "Q3" in scene.ledger.base
    assert scene.settled() == []


def test_bulk_run_of_complete_successions_is_not_emitted() -> None:
    scene = Scene()
    for number in range(100, 160):
        scene.wiki.item(f"Q{number}", "filler", A)
    edit = scene.set(A_ENDED, B, user="RunBot", hours=0.1, comment="/* wbsetclaim:1 */ run 7")
    for number in range(100, 160):
        scene.wiki.set(f"Q{number}", A_ENDED, user="RunBot", hours=0.005,
                       comment="/* wbsetclaim:1 */ run 7")  # fmt: skip
    scene.wait(20)
    assert scene.settled() == []
    assert scene.ledger.verdicts["Q1", edit].kept is False
    assert "bulk run" in next(iter(scene.ledger.candidates.values())).reason


def test_end_waits_for_a_successor_and_is_emitted_without_one() -> None:
    scene = Scene()
    scene.set(A_ENDED)
    scene.wait(13)
    assert scene.settled() == []
    scene.wait(3)
    assert scene.settled() == [("Q11", None)]


def test_corroboration_shortens_and_unconfirmed_lengthens_the_wait() -> None:
    def days_until_settled(corroborated: bool, user: str, constrained: bool = True) -> int:
        scene = Scene()
        if constrained:
            scene.wiki.item("P6", "head of government", constraint("c", "Q52060874"))
        if corroborated:
            office = scene.wiki
            office.raw["Q12"]["claims"]["P39"] = [claim("p1", "P39", "Q1", start="2024-05-02")]
            office.save("Q12")
        scene.set(A_ENDED, B, user=user)
        scene.look()
        for day in range(1, 20):
            scene.wait(1)
            if scene.settled():
                return day
        return 99

    assert days_until_settled(True, "Kontributor") == 1
    assert days_until_settled(True, "Kontributor", constrained=False) == 3  # unknown: no pass
    assert days_until_settled(False, "Kontributor") == 3
    assert days_until_settled(False, "~2025-1") == 7


def test_emitted_change_that_is_taken_back_becomes_a_retraction() -> None:
    scene = Scene()
    scene.set(A_ENDED, B_PREFERRED)
    scene.wait(5)
    scene.wiki.restore("Q1", scene.base)
    scene.wait(5)
    assert scene.settled() == [("Q11", "Q12"), ("Q12", "Q11")]
    assert "retraction" in scene.ledger.settled()[1].reason


def test_broken_history_leaves_the_item_dirty_and_the_base_alone() -> None:
    from agents.wikidata.errors import BrokenAnswer

    scene = Scene()
    scene.set(A_ENDED, B)
    whole = scene.wiki.history

    async def cut(*_: object, **__: object) -> list:
        raise BrokenAnswer("cut off")

    scene.wiki.history = cut  # type: ignore[method-assign]
    scene.look()
    assert scene.ledger.outcomes[-1].status == "unknown"
    assert scene.ledger.base["Q1"].revision == scene.base
    scene.wiki.history = whole  # type: ignore[method-assign]
    scene.wait(5)
    assert scene.settled() == [("Q11", "Q12")]


def test_an_item_rests_for_a_while_before_it_is_judged() -> None:
    scene = Scene(settings=WatchSettings(debounce_min=10))
    scene.set(A_ENDED, B)
    edited = scene.wiki.now
    scene.wiki.now += dt.timedelta(minutes=4)
    scene.look()
    found = scene.ledger.outcomes[-1]
    assert (found.status, found.look_again_at) == ("early", edited + dt.timedelta(minutes=10))
    assert scene.ledger.base["Q1"].revision == scene.base
    scene.wiki.now += dt.timedelta(minutes=6)
    scene.look()
    assert scene.ledger.outcomes[-1].status == "changed"


def test_an_item_that_never_rests_is_judged_all_the_same() -> None:
    scene = Scene(settings=WatchSettings(debounce_min=10, longest_wait_min=60))
    statuses = []
    for minute in range(0, 70, 5):
        scene.set(A_ENDED, B if minute % 10 else B_PREFERRED, hours=5 / 60)
        scene.look()
        statuses.append(scene.ledger.outcomes[-1].status)
    assert statuses == ["early"] * 12 + ["changed", "early"]  # what is unseen at last is young


def test_explain_reads_well() -> None:
    scene = Scene()
    scene.set(A_ENDED, B)
    lines = asyncio.run(scene.watcher.explain("Q1"))
    assert any("P6 head of government: Q11 -> Q12" in line for line in lines)
    assert any("late_entry: the old one ended in 2024-05-02" in line for line in lines)


class RefusingWiki(FakeWiki):
    """Refuses every request that names one of `bad`, as Wikidata does for an id it cannot read."""

    def __init__(self, *bad: str) -> None:
        super().__init__()
        self.bad = bad

    async def entities(self, items: Iterable[str]) -> Fetched:
        asked = list(items)
        for item in self.bad:
            if item in asked:
                raise Refused(f"no-such-entity: {item}")
        return await super().entities(asked)


def refusing(*bad: str, watched: Sequence[str]) -> tuple[MemoryLedger, Watcher]:
    wiki = RefusingWiki(*bad)
    for item in ("Q1", "Q2"):
        wiki.item(item, item, A)
    ledger = MemoryLedger(watched)
    settings = WatchSettings(debounce_min=0)
    return ledger, Watcher(wiki, ledger, lambda: wiki.now, settings)


def test_one_refused_id_stops_no_other_item() -> None:
    ledger, watcher = refusing("Q0", watched=["Q1", "Q0", "Q2"])
    assert asyncio.run(watcher.reconcile()) == 2
    bases = asyncio.run(ledger.bases(["Q1", "Q0", "Q2"]))
    assert {item for item, base in bases.items() if base.entity is not None} == {"Q1", "Q2"}
    assert "no-such-entity" in asyncio.run(watcher.explain("Q0"))[0]


def test_a_refusal_of_every_item_is_raised() -> None:
    _, watcher = refusing("Q1", "Q2", watched=["Q1", "Q2"])
    with pytest.raises(Refused):
        asyncio.run(watcher.reconcile())
