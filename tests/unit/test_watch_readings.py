"""Values that were overwritten in place: read by form, by names, by what the property says."""

from __future__ import annotations

import pytest

from agents.wikidata.entity import EntityDoc, canonical_time, parse_entity
from agents.wikidata.names import NameTie, tie
from agents.wikidata.pairs import judge_pair
from agents.wikidata.side import SideFacts
from agents.wikidata.value_edits import read_value_edit
from knowledge.facts import ChangeKind, Snak, SnakKind
from tests.fakes_wiki import claim


def time(text: str, precision: int = 11) -> Snak:
    value = canonical_time({"time": text, "precision": precision})
    return Snak(property="P570", datatype="time", value=value)


def figure(value: str) -> Snak:
    return Snak(property="P1082", datatype="quantity", value=f"{value} 1")


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (time("+1878-01-01T00:00:00Z"), time("+1878-03-02T00:00:00Z"), ChangeKind.GRANULARITY),
        (time("+1755-01-01T00:00:00Z"), time("+1755-00-00T00:00:00Z", 9), ChangeKind.GRANULARITY),
        (time("+1908-04-00T00:00:00Z", 10), time("+1908-04-30T00:00:00Z"), ChangeKind.GRANULARITY),
        (time("+1850-00-00T00:00:00Z", 7), time("+1843-05-01T00:00:00Z"), ChangeKind.GRANULARITY),
        (time("+247-00-00T00:00:00Z", 9), time("-247-00-00T00:00:00Z", 9), ChangeKind.FORMAT),
        (time("+1950-02-25 T00:00:00Z"), time("+1950-02-25T00:00:00Z"), ChangeKind.FORMAT),
        (time("+0 1934- 4- 17T00:00:00Z"), time("+1934-04-17T00:00:00Z"), ChangeKind.FORMAT),
        (time("+1981-08-05T00:00:00Z"), time("+1981-08-04T00:00:00Z"), None),
        (time("+2002-00-00T00:00:00Z", 9), time("+2001-00-00T00:00:00Z", 9), None),
        (time("+1978-02-01T00:00:00Z"), time("+1978-02-03T00:00:00Z"), None),
        (figure("492000000"), figure("-492000000"), ChangeKind.FORMAT),
        (figure("344.5"), figure("344"), ChangeKind.GRANULARITY),
        (figure("125.659"), figure("125.660"), ChangeKind.GRANULARITY),
        (figure("725"), figure("727"), None),
        (figure("57885"), figure("60525"), None),
    ],
)
def test_dates_and_figures(old: Snak, new: Snak, kind: ChangeKind | None) -> None:
    found = judge_pair(old, new, SideFacts())
    assert (found.kind if found else None) is kind


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("Aachen-Mitte", "Aachen", NameTie.WITHIN),
        ("character actor", "actor", NameTie.WITHIN),
        ("Bern", "Canton of Berne", NameTie.WITHIN),
        ("Saint-Louis", "Saint Louis", NameTie.EQUAL),
        ("president", "vice president", NameTie.ANOTHER),
        ("mayor of a place", "mayor of somewhere", NameTie.HEAD),
        ("painter", "sculptor", NameTie.NONE),
        ("", "sculptor", NameTie.NONE),
    ],
)
def test_names(old: str, new: str, found: NameTie) -> None:
    assert tie(old, new) is found
    assert tie(new, old) is found


def items(old: str, new: str, labels: tuple[str, str]) -> tuple[Snak, Snak, SideFacts]:
    docs = {i: EntityDoc(i, labels={"en": n}) for i, n in zip((old, new), labels, strict=True)}
    snaks = [Snak(property="P1", value=value) for value in (old, new)]
    return snaks[0], snaks[1], SideFacts(docs)


def test_without_the_graph_places_and_trades_are_held_and_holders_are_not() -> None:
    old, new, facts = items("Q100", "Q900000", ("Upper Land", "Little Town"))
    birth = read_value_edit("P19", old, new, facts)
    assert birth.held and not birth.update and birth.kind is ChangeKind.AMBIGUOUS
    trade = read_value_edit("P106", old, new, facts)
    assert trade.held and not trade.update
    coach = read_value_edit("P286", old, new, facts)
    assert coach.update and not coach.held and coach.kind is ChangeKind.CORRECTION
    district = read_value_edit("P131", old, new, facts)
    assert not district.update and district.kind is ChangeKind.GRANULARITY


def test_with_the_graph_at_hand_names_do_not_decide() -> None:
    def doc(item: str, name: str, **claims: str) -> EntityDoc:
        groups = {p: [claim(f"{item}${p}", p, v)] for p, v in claims.items()}
        return parse_entity(
            {"id": item, "labels": {"en": {"value": name}}, "claims": groups}, item=item
        )

    facts = SideFacts(
        {
            "Q1": doc("Q1", "Rovers", P31="Q476028"),
            "Q2": doc("Q2", "Rovers Youth", P31="Q476028"),
            "Q3": doc("Q3", "Town", P31="Q515", P131="Q4"),
            "Q4": doc("Q4", "County", P31="Q28575"),
        }
    )
    old, new = Snak(property="P54", value="Q1"), Snak(property="P54", value="Q2")
    assert read_value_edit("P54", old, new, facts).update
    inner, outer = Snak(property="P159", value="Q3"), Snak(property="P159", value="Q4")
    found = read_value_edit("P159", inner, outer, facts)
    assert not found.update and found.kind is ChangeKind.GRANULARITY


def test_unknown_is_another_value() -> None:
    unknown = Snak(property="P570", kind=SnakKind.SOMEVALUE, datatype="")
    assert read_value_edit("P570", unknown, time("+1889-11-20T00:00:00Z"), SideFacts()).update
