"""The quarantine: text of strangers goes in, checked candidates come out.

Owns the reading of a dossier into candidate facts, each with a verbatim span. What leaves here is
typed, from the statements or from the closed vocabulary of causes; no free text of a source does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.errors import Permanent
from agents.evidence.cause_words import family, safe_phrase
from agents.evidence.causes import name_forms, stated_causes
from agents.evidence.hygiene import objections
from agents.evidence.sources import Dossier
from agents.evidence.statements import item_name, snak_date, statement_line
from knowledge.codec import from_json, to_json
from knowledge.facts import Date, Entity, Rank, SnakKind, Statement
from knowledge.narrative import Evidence, Span
from knowledge.properties import noun_phrase

START, END, CAUSE, REPLACES = "P580", "P582", "P1534", "P1365"


class ExtractionError(Permanent):
    """A candidate does not stand in the snapshot that it names."""


class FactKind(StrEnum):
    LEGACY = "legacy"
    CAUSE = "cause"
    TRANSITION = "transition"
    NEW = "new"


class CandidateFact(BaseModel):
    """One candidate as JSON: a value, its date where it has one, and the quote that states it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FactKind
    value: str = Field(min_length=1, max_length=160)
    date: str = Field(default="", pattern=r"^(\d{1,4}(-\d{2}(-\d{2})?)?)?$")
    evidence_id: str
    start: int = Field(ge=0)
    end: int
    span: str = Field(min_length=1, max_length=2_000)

    def quote(self) -> Span:
        return Span(evidence_id=self.evidence_id, start=self.start, end=self.end, text=self.span)

    def when(self) -> Date | None:
        return Date.of(self.date)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """The candidates of a dossier, checked against its snapshots."""

    facts: tuple[CandidateFact, ...]

    def first(self, kind: FactKind) -> CandidateFact | None:
        return next((fact for fact in self.facts if fact.kind is kind), None)

    def quotes(self, kind: FactKind) -> tuple[Span, ...]:
        return tuple(dict.fromkeys(fact.quote() for fact in self.facts if fact.kind is kind))

    def to_json(self) -> str:
        return to_json(self.facts, tuple[CandidateFact, ...])

    @classmethod
    def from_json(cls, text: str) -> Extraction:
        """Raises pydantic.ValidationError."""
        return cls(facts=from_json(tuple[CandidateFact, ...], text))


def extract(dossier: Dossier) -> Extraction:
    """Read a dossier: what was, since and until when; what is; what connects them; and why.

    At most one cause: an end cause on a statement (P1534), else the best sentence of an extract.
    """
    facts: list[CandidateFact] = []
    change = dossier.change
    if change.old:
        facts += _holding(dossier, FactKind.LEGACY, change.old)
    if change.new:
        facts += _holding(dossier, FactKind.NEW, change.new)
        facts += _transition(dossier, facts)
    if change.old:
        cause = _stated_end_cause(dossier) or _told_cause(dossier)
        facts += [cause] if cause else []
    return checked(facts, dossier.evidence)


def checked(facts: list[CandidateFact], evidence: tuple[Evidence, ...]) -> Extraction:
    """The same facts, each quote compared with its snapshot. Raises ExtractionError."""
    texts = {e.id: e.text for e in evidence}
    for fact in facts:
        text = texts.get(fact.evidence_id)
        if text is None or text[fact.start : fact.end] != fact.span:
            raise ExtractionError(
                f"a {fact.kind.value} candidate quotes what its snapshot does not say; "
                "fetch the evidence again"
            )
    return Extraction(facts=tuple(facts))


def _holding(dossier: Dossier, kind: FactKind, holder: Entity) -> list[CandidateFact]:
    """Statements by which `holder` held or holds the fact: the subject's own, then those of the
    holder that name the subject; the best first."""
    change, day = dossier.change, END if kind is FactKind.LEGACY else START
    wanted = change.old_statement if kind is FactKind.LEGACY else change.new_statement
    own = [
        s
        for s in dossier.of(change.subject.id, change.property)
        if s.mainsnak.value == holder.id and s.rank is not Rank.DEPRECATED
    ]
    own.sort(key=lambda s: (s.id != wanted, s.qualifier(day) is None, s.id))
    # Who came back has two statements: the legacy one has an end, the new one has none.
    if kind is FactKind.NEW:
        own = [s for s in own if s.qualifier(END) is None] or own
    name = item_name(holder.id, dossier.names)
    if not own and kind is FactKind.LEGACY:
        return _replaced(dossier, holder, name)
    return [fact for s in own[:1] if (fact := _fact(dossier, kind, name, s, day))]


def _replaced(dossier: Dossier, holder: Entity, name: str) -> list[CandidateFact]:
    """The legacy state as the new statement tells it (`replaces`), where the old statement is gone;
    it gives no date of the end."""
    change = dossier.change
    telling = [
        s
        for s in dossier.of(change.subject.id, change.property)
        if change.new
        and s.mainsnak.value == change.new.id
        and (snak := s.qualifier(REPLACES))
        and snak.value == holder.id
    ]
    found = [_fact(dossier, FactKind.LEGACY, name, s, "") for s in telling[:1]]
    return [fact for fact in found if fact]


def _transition(dossier: Dossier, facts: list[CandidateFact]) -> list[CandidateFact]:
    """The change itself: stated by the two statements, and by `replaces` and `replaced by`."""
    return [
        fact.model_copy(update={"kind": FactKind.TRANSITION})
        for fact in reversed(facts)
        if fact.kind in (FactKind.NEW, FactKind.LEGACY)
    ]


def _fact(
    dossier: Dossier, kind: FactKind, value: str, statement: Statement, day: str
) -> CandidateFact | None:
    line = statement_line(statement, dossier.names)
    for evidence in dossier.evidence:
        start = evidence.text.find(line) if evidence.source.startswith("wikidata:") else -1
        if start < 0:
            continue
        date = snak_date(statement.qualifier(day))
        return _made(kind, value, evidence, start, start + len(line), date)
    return None


def _made(
    kind: FactKind, value: str, evidence: Evidence, start: int, end: int, date: Date | None
) -> CandidateFact | None:
    try:
        return CandidateFact(
            kind=kind,
            value=value,
            date=date.iso() if date else "",
            evidence_id=evidence.id,
            start=start,
            end=end,
            span=evidence.text[start:end],
        )
    except ValidationError:  # longer than any statement of a fact is: not for quoting
        return None


def _stated_end_cause(dossier: Dossier) -> CandidateFact | None:
    """P1534 on the old statement, or on a statement of the old holder about the same office that
    ended on the same day."""
    change = dossier.change
    assert change.old is not None
    own = [
        s
        for s in dossier.of(change.subject.id, change.property)
        if s.mainsnak.value == change.old.id
    ]
    own.sort(key=lambda s: (s.id != change.old_statement, s.id))
    ended = change.ended or next((d for s in own if (d := snak_date(s.qualifier(END)))), None)
    theirs = [
        s
        for s in dossier.statements
        if s.subject == change.old.id
        and s.property == "P39"
        and ended is not None
        and ended.day
        and snak_date(s.qualifier(END)) == ended
    ]
    for statement in [*own, *theirs]:
        snak = statement.qualifier(CAUSE)
        if snak is None or snak.kind is not SnakKind.VALUE or statement.rank is Rank.DEPRECATED:
            continue
        label = item_name(snak.value, dossier.names)
        phrase = safe_phrase(label) if label != snak.value else None
        if phrase:
            phrase = phrase[:1].lower() + phrase[1:] if family(phrase) else phrase
            return _fact(dossier, FactKind.CAUSE, phrase, statement, END)
    return None


def _told_cause(dossier: Dossier) -> CandidateFact | None:
    """The best sentence of the extracts that says why the old holder's term ended."""
    change = dossier.change
    assert change.old is not None
    legacy = _holding(dossier, FactKind.LEGACY, change.old)
    newer = _holding(dossier, FactKind.NEW, change.new) if change.new else []
    old_names = name_forms(change.old.names)
    new_names = [
        n for n in name_forms(change.new.names if change.new else ()) if n not in old_names
    ]
    role = noun_phrase(change.property, change.subject.label)
    # Of a person's club or party it is the person who leaves, and others leave the same one.
    leaves = change.subject if change.subject.kind == "person" else change.old
    needed = old_names if leaves is change.subject else []
    leaver = name_forms(leaves.names)
    best: tuple[int, int, int, CandidateFact] | None = None
    for place, evidence in enumerate(dossier.evidence):
        if not evidence.source.startswith(("wikipedia:", "reference:")):
            continue
        found = stated_causes(
            evidence.text,
            old_names=leaver,
            new_names=new_names,
            role_words=[change.subject.label, role],
            needed=needed,
            ended=legacy[0].when() if legacy else None,
            started=newer[0].when() if newer else None,
            own_page=_is_page_of(evidence, leaves),
        )
        for cause in found[:1]:
            fact = _made(FactKind.CAUSE, cause.phrase, evidence, cause.start, cause.end, None)
            if (
                fact
                and not objections(fact.span)
                and (best is None or (-cause.score, place) < best[:2])
            ):
                best = (-cause.score, place, cause.start, fact)
    return best[3] if best else None


def _is_page_of(evidence: Evidence, entity: Entity) -> bool:
    if not evidence.source.startswith("wikipedia:"):
        return False
    title = evidence.source.partition(":")[2].partition(" (")[0]
    return title in entity.names or evidence.text.startswith(entity.label)
