"""MQuAKE records into Almanac and out of it: proposals, edit units, records with articles.

Owns what becomes of a record's edits: with an article it is a proposal that rests on no evidence
and says so, without one it is a settled change that is curated as any other. What is marked
synthetic is refused here; it may become units in a file, for experiments, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlmodel import Session, col, select

from agents.drafting.draft import DraftRequest
from agents.drafting.template import write
from agents.evidence.extract import Extraction
from agents.questions import build_questions, build_unit
from agents.verifying.verdict import Finding
from daemon.clock import Clock
from daemon.errors import Conflict
from daemon.store.drafts import add_draft, index_change
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, DraftRow
from daemon.store.states import ChangeState, record_event, transition
from knowledge import codec
from knowledge.edits import EditUnit
from knowledge.facts import FactChange
from knowledge.mquake import Record, Rewrite, edits_of, records_of

IMPORTED = Finding(
    rule="imported",
    message="the narrative comes from a file and rests on no stored evidence; check it yourself",
)
_OPEN = (
    ChangeState.DETECTED,
    ChangeState.SETTLING,
    ChangeState.SETTLED,
    ChangeState.DRAFTING,
    ChangeState.IN_REVIEW,
    ChangeState.APPROVED,
)
_TAUGHT = (ChangeState.APPROVED, ChangeState.BATCHED, ChangeState.LIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of the edits of a file."""

    proposed: int
    """With an article: in the review queue."""
    settled: int
    """Without one: to be curated."""
    skipped: int
    """Of the same fact as a change under way, or of a property outside the catalogue."""


class Imports:
    """Blocking calls over the database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, records: Sequence[Record], *, actor: str) -> Imported:
        """Raises Conflict, before anything is written, when a record is marked synthetic."""
        marked = [r.case_id for r in records if any(w.synthetic for w in r.requested_rewrite)]
        if marked:
            raise Conflict(
                f"case {marked[0]} and {len(marked) - 1} others are marked synthetic, and made-up "
                "facts never enter the review queue; write them as units for an experiment with "
                "`--units FILE`"
            )
        counts = {"proposed": 0, "settled": 0, "skipped": 0}
        with self._database.write() as session:
            for record in records:
                edits = edits_of(record)
                counts["skipped"] += len(record.requested_rewrite) - len(edits)
                for change, rewrite in edits:
                    counts[self._take(session, change, rewrite, actor)] += 1
        return Imported(**counts)

    def export(self) -> list[Record]:
        """The approved, batched and live edits as records, by number of their change."""
        with self._database.read() as session:
            rows = session.exec(
                select(ChangeRow)
                .where(col(ChangeRow.state).in_([s.value for s in _TAUGHT]))
                .order_by(col(ChangeRow.id))
            ).all()
            units: list[EditUnit] = []
            for row in rows:
                draft = session.exec(
                    select(DraftRow).where(
                        DraftRow.change_id == row.id, DraftRow.digest == row.approved_digest
                    )
                ).first()
                if draft is not None:
                    units.append(codec.from_data(EditUnit, draft.unit))
        return records_of(u for u in units if u.change.old and u.change.new)

    def _take(self, session: Session, change: FactChange, rewrite: Rewrite, actor: str) -> str:
        open_ones = [s.value for s in _OPEN]
        known = session.exec(
            select(ChangeRow.id).where(
                ChangeRow.slot == change.slot, col(ChangeRow.state).in_(open_ones)
            )
        ).first()
        if known is not None:
            return "skipped"
        now = self._clock.now()
        row = ChangeRow(
            key=change.key,
            slot=change.slot,
            subject=change.subject.id,
            property=change.property,
            state=ChangeState.SETTLED,
            fact=codec.to_data(change),
            reason=change.reason,
            created_at=now,
            updated_at=now,
        )
        session.add(row)
        session.flush()
        assert row.id is not None
        index_change(session, row, change)
        told = {"actor": actor, "reason": f"imported: {change.reason}", "now": now}
        record_event(session, "change", row.id, to_state=ChangeState.SETTLED, **told)
        if not rewrite.article:
            return "settled"
        transition(session, row, ChangeState.DRAFTING, **told)
        unit = unit_of(change, rewrite)
        add_draft(
            session,
            row,
            unit,
            findings=[codec.to_data(IMPORTED)],
            evidence=[],
            facts=[],
            lineage={"imported": change.reason, **rewrite.lineage},
            author=f"import/{actor}",
            now=now,
        )
        transition(session, row, ChangeState.IN_REVIEW, data={"digest": unit.digest}, **told)
        return "proposed"


def units_of(records: Sequence[Record]) -> tuple[EditUnit, ...]:
    """The edits with an article as units, each slot once, the synthetic ones marked."""
    found: dict[str, EditUnit] = {}
    for record in records:
        for change, rewrite in edits_of(record):
            if rewrite.article:
                found.setdefault(change.slot, unit_of(change, rewrite))
    return tuple(found.values())


def unit_of(change: FactChange, rewrite: Rewrite) -> EditUnit:
    """A unit whose prose is the article. Its four claims are the plain ones, without quotes."""
    request = DraftRequest(change=change, extraction=Extraction(facts=()))
    narrative = replace(
        write(request),
        prose=rewrite.article or "",
        drafter="import",
        lineage={k: str(v) for k, v in rewrite.lineage.items()},
    )
    questions = build_questions(change, narrative, (), (), ())
    unit = build_unit(change, narrative, questions)
    return replace(unit, synthetic=rewrite.synthetic)
