"""References corroborate when two are of different sources, and imports are none."""

from __future__ import annotations

from typing import Any

import pytest

from agents.wikidata.entity import parse_group
from agents.wikidata.references import by_references, independent_sources
from tests.fakes_wiki import claim, constraint, item_snak
from tests.unit.test_watch_classes import A_ENDED, Scene


def url(address: str) -> dict[str, Any]:
    return {
        "snaktype": "value",
        "property": "P854",
        "datavalue": {"type": "string", "value": address},
    }


def referenced(*references: tuple[dict[str, Any], ...], **how: Any) -> dict[str, Any]:
    made = claim("s2", how.pop("property_id", "P6"), "Q12", start="2024-05-02", **how)
    made["references"] = []
    for snaks in references:
        grouped: dict[str, list[dict[str, Any]]] = {}
        for snak in snaks:
            grouped.setdefault(snak["property"], []).append(snak)
        made["references"].append({"hash": "h", "snaks": grouped})
    return made


BBC, NYT = url("https://www.bbc.co.uk/news/1"), url("https://nytimes.com/a")
BBC_TOO = url("http://BBC.co.uk:80/sport")
WORK, IMPORT = item_snak("P248", "Q50"), item_snak("P143", "Q328")


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        ([], ()),
        ([(BBC,)], ("bbc.co.uk:P854",)),
        ([(BBC,), (NYT,)], ("bbc.co.uk:P854", "nytimes.com:P854")),
        ([(BBC,), (BBC_TOO,)], ("bbc.co.uk:P854",)),
        ([(BBC,), (WORK,)], ("Q50:P248", "bbc.co.uk:P854")),
        ([(BBC, WORK), (WORK,)], ("Q50:P248",)),  # the second has nothing of its own
        ([(BBC, NYT)], ("bbc.co.uk:P854",)),  # one reference is one
        ([(IMPORT,), (IMPORT, BBC), (NYT,)], ("nytimes.com:P854",)),
        ([(url("http://[broken"),), (url(""),), (NYT,)], ("nytimes.com:P854",)),
    ],
)
def test_sources(references: list[tuple[dict[str, Any], ...]], expected: tuple[str, ...]) -> None:
    (statement,) = parse_group("Q1", "P6", [referenced(*references)])
    assert independent_sources(statement) == expected
    assert by_references(statement) == (expected if len(expected) > 1 else ())


def days_until_settled(scene: Scene, *claims: dict[str, Any]) -> int:
    scene.set(*claims)
    scene.look()
    for day in range(1, 20):
        scene.wait(1)
        if scene.settled():
            return day
    return 99


def test_two_sources_shorten_the_wait_and_stand_at_the_change() -> None:
    scene = Scene()
    scene.wiki.item("P6", "head of government", constraint("c", "Q52060874"))
    assert days_until_settled(scene, A_ENDED, referenced((BBC,), (NYT,))) == 1
    found = scene.ledger.settled()[0].change.corroborations
    assert found == ("bbc.co.uk:P854", "nytimes.com:P854")
    scene = Scene()
    scene.wiki.item("P6", "head of government", constraint("c", "Q52060874"))
    assert days_until_settled(scene, A_ENDED, referenced((BBC,), (BBC_TOO,))) == 3


@pytest.mark.parametrize(("references", "days"), [((), 7), (((BBC,), (NYT,)), 1)])
def test_what_is_private_needs_sources_not_only_its_inverse(
    references: tuple[tuple[dict[str, Any], ...], ...], days: int
) -> None:
    old = claim("s1", "P26", "Q11", start="2019")
    ended = claim("s1", "P26", "Q11", start="2019", end="2024-05-02")
    scene = Scene(old)
    scene.wiki.item("P26", "spouse", constraint("c", "Q52060874"))
    scene.wiki.raw["Q12"]["claims"]["P26"] = [claim("p1", "P26", "Q1", start="2024-05-02")]
    scene.wiki.save("Q12")
    assert days_until_settled(scene, ended, referenced(*references, property_id="P26")) == days
