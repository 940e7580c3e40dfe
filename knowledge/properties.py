"""The watched-property catalogue: what each property means and how it is put into words.

Owns which Wikidata properties Almanac watches, how firmly a change of each must settle, and the
noun phrase and verbs that every question, narrative and corpus row about it is made of. Question
wordings are in `knowledge.questions`, narrative surface forms in `knowledge.rendering`.

Tiers (from the edit statistics of Wikidata): A a single current holder, B functional but noisier,
N numeric or version, O one-way, H helper.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    A = "A"
    B = "B"
    N = "N"
    O = "O"
    H = "H"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a property is said. `{s}` is the subject, `{o}` the object; no final full stop.

    `role` is the noun phrase that names the object by the subject; the clauses put subject and
    object in tense. `became` is the event by which the new state begins, `left` how the old ends.
    """

    role: str
    wh: str = "Who"
    is_: str = "{o} is {role}"
    was: str = "{o} was {role}"
    has_been: str = "{o} has been {role}"
    became: str = "{o} became {role}"
    left: str = "{o} left the post"

    @property
    def post(self) -> str:
        """The role without its subject: `the head of government`."""
        return self.role.removesuffix(" of {s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One watched property. `stability_h` is how long a change must stand before it is settled."""

    id: str
    label: str
    tier: Tier
    wording: Wording
    stability_h: float = 72.0
    functional: bool = True
    inverse: tuple[str, ...] = ()
    """Properties of other items that say the same: a statement of one corroborates a change."""
    living_persons: bool = False
    """Private facts of living persons: two reviewers or two independent references."""
    one_subject: bool = False
    """As a rule an object has this of one subject only: the question can be turned round."""


def _office(title: str, *, left: str = "{o} left office") -> Wording:
    return Wording(role=f"the {title} of {{s}}", left=left)


def _thing(noun: str, *, wh: str = "What", left: str = "that ended for {o}") -> Wording:
    return Wording(role=f"the {noun} of {{s}}", wh=wh, left=left)


_TEAM = Wording(
    role="the club of {s}",
    wh="What",
    is_="{s} plays for {o}",
    was="{s} played for {o}",
    has_been="{s} has played for {o}",
    became="{s} joined {o}",
    left="{s} left {o}",
)

_DAYS = 24.0


def _p(
    id: str,
    label: str,
    tier: Tier,
    wording: Wording,
    *,
    stability_h: float = 3 * _DAYS,
    functional: bool = True,
    inverse: tuple[str, ...] = (),
    living_persons: bool = False,
    one_subject: bool = False,
) -> Property:
    return Property(
        id=id,
        label=label,
        tier=tier,
        wording=wording,
        stability_h=stability_h,
        functional=functional,
        inverse=inverse,
        living_persons=living_persons,
        one_subject=one_subject,
    )


_A, _B, _N, _O, _H = Tier.A, Tier.B, Tier.N, Tier.O, Tier.H
_WEEK = 7 * _DAYS

_ROWS = (
    _p(
        "P6",
        "head of government",
        _A,
        _office("head of government"),
        inverse=("P39", "P1308"),
        one_subject=True,
    ),
    _p(
        "P35",
        "head of state",
        _A,
        _office("head of state"),
        inverse=("P39", "P1308"),
        one_subject=True,
    ),
    _p("P1308", "position holder", _A, _office("holder"), inverse=("P39", "P6", "P35")),
    _p(
        "P39",
        "position held",
        _B,
        _thing("office"),
        stability_h=_WEEK,
    ),
    _p(
        "P169",
        "chief executive officer",
        _A,
        _office("chief executive"),
        inverse=("P39", "P108"),
        one_subject=True,
    ),
    _p("P488", "chairperson", _A, _office("chair"), inverse=("P39", "P1308"), one_subject=True),
    _p(
        "P1037",
        "director / manager",
        _A,
        _office("director"),
        inverse=("P39", "P108", "P1308"),
        one_subject=True,
    ),
    _p(
        "P3975",
        "general secretary",
        _A,
        _office("secretary general"),
        inverse=("P39", "P1308"),
        one_subject=True,
    ),
    _p("P1075", "rector", _A, _office("rector"), inverse=("P39", "P1308"), one_subject=True),
    _p(
        "P1789",
        "chief operating officer",
        _A,
        _office("chief operating officer"),
        inverse=("P39",),
        one_subject=True,
    ),
    _p(
        "P5769",
        "editor-in-chief",
        _A,
        _office("editor-in-chief"),
        inverse=("P39", "P108"),
        one_subject=True,
    ),
    _p("P286", "head coach", _A, _office("head coach"), inverse=("P6087", "P39"), one_subject=True),
    _p("P634", "team captain", _A, _office("captain"), inverse=("P54",), one_subject=True),
    _p(
        "P54",
        "member of sports team",
        _B,
        _TEAM,
        stability_h=_WEEK,
        inverse=("P3320", "P527"),
    ),
    _p("P118", "league or competition", _B, _thing("league"), stability_h=_WEEK),
    _p("P115", "home venue", _A, _thing("home venue"), inverse=("P466",)),
    _p(
        "P127",
        "owned by",
        _B,
        _thing("owner", wh="Who"),
        stability_h=_WEEK,
        inverse=("P1830",),
    ),
    _p(
        "P749",
        "parent organization",
        _A,
        _thing("parent organisation"),
        inverse=("P355",),
    ),
    _p("P137", "operator", _B, _thing("operator", wh="Who"), stability_h=_WEEK),
    _p("P159", "headquarters location", _A, _thing("headquarters location")),
    _p("P414", "stock exchange", _B, _thing("stock exchange"), stability_h=_WEEK),
    _p("P1454", "legal form", _B, _thing("legal form"), stability_h=_WEEK),
    _p("P1448", "official name", _B, _thing("official name"), stability_h=_WEEK),
    _p("P36", "capital", _A, _thing("capital"), inverse=("P1376",), one_subject=True),
    _p("P38", "currency", _A, _thing("currency")),
    _p("P37", "official language", _B, _thing("official language"), functional=False),
    _p(
        "P122",
        "basic form of government",
        _B,
        _thing("form of government"),
        stability_h=_WEEK,
    ),
    _p("P17", "country", _B, _thing("country"), stability_h=_WEEK),
    _p(
        "P131",
        "located in the administrative territorial entity",
        _B,
        _thing("district"),
    ),
    _p(
        "P463",
        "member of",
        _B,
        _thing("membership"),
        functional=False,
        stability_h=_WEEK,
    ),
    _p("P3320", "board member", _B, _thing("board member", wh="Who"), functional=False),
    _p("P108", "employer", _B, _thing("employer", wh="Who"), stability_h=_WEEK),
    _p("P102", "member of political party", _B, _thing("party"), living_persons=True),
    _p(
        "P26",
        "spouse",
        _B,
        _thing("spouse", wh="Who"),
        stability_h=_WEEK,
        inverse=("P26",),
        living_persons=True,
    ),
    _p(
        "P451",
        "unmarried partner",
        _B,
        _thing("partner", wh="Who"),
        stability_h=_WEEK,
        inverse=("P451",),
        living_persons=True,
    ),
    _p(
        "P551",
        "residence",
        _B,
        _thing("residence"),
        stability_h=_WEEK,
        living_persons=True,
    ),
    _p("P371", "presenter", _A, _thing("presenter", wh="Who")),
    _p("P449", "original broadcaster", _B, _thing("broadcaster"), stability_h=_WEEK),
    _p("P466", "occupant", _B, _thing("occupant", wh="Who"), inverse=("P115", "P159")),
    _p("P570", "date of death", _O, _thing("date of death"), living_persons=True),
    _p(
        "P576",
        "dissolved, abolished or demolished date",
        _O,
        _thing("date of dissolution"),
    ),
    _p("P1346", "winner", _O, _thing("winner", wh="Who")),
    _p("P991", "successful candidate", _O, _thing("winner", wh="Who")),
    _p("P1082", "population", _N, _thing("population"), functional=False),
    _p("P1128", "employees", _N, _thing("number of employees"), functional=False),
    _p("P2139", "total revenue", _N, _thing("revenue"), functional=False),
    _p(
        "P348",
        "software version identifier",
        _N,
        _thing("latest version"),
        functional=False,
    ),
    # Helpers: never watched for themselves, read for corroboration and for two-hop questions.
    _p(
        "P1313",
        "office held by head of government",
        _H,
        _thing("head-of-government office"),
    ),
    _p("P19", "place of birth", _H, _thing("place of birth")),
    _p("P27", "country of citizenship", _H, _thing("country of citizenship")),
    _p("P30", "continent", _H, _thing("continent")),
    _p("P112", "founded by", _H, _thing("founder", wh="Who")),
)

CATALOGUE: dict[str, Property] = {row.id: row for row in _ROWS}

WATCHED: tuple[str, ...] = tuple(row.id for row in _ROWS if row.tier is not Tier.H)
"""Ids of the properties whose changes become candidates."""


def noun_phrase(property_id: str, subject: str) -> str:
    """`the head of government of Moldova`: names the object by its subject. KeyError if unknown."""
    return CATALOGUE[property_id].wording.role.format(s=subject)


def clause(property_id: str, tense: str, subject: str, obj: str) -> str:
    """A clause without full stop; `tense` is `is_`, `was`, `has_been`, `became` or `left`."""
    wording = CATALOGUE[property_id].wording
    template: str = getattr(wording, tense)
    return template.format(s=subject, o=obj, role=wording.role.format(s=subject))
