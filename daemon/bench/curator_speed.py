"""How many changes a second go from settled to the review queue, with the template drafter.

Owns one timed round: rows of a database to rows of the queue, by the controller, with the
checkpoint file, in one process on one thread. Evidence is at hand: the network is not measured.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sqlmodel import func, select

from agents.curate import Curator, checkpoint_store
from agents.evidence.sources import Dossier, WikimediaEvidence
from daemon.bench.curator_cases import Case
from daemon.bench.curator_wiki import NOW
from daemon.controllers.curate import CurateController
from daemon.store.engine import Database
from daemon.store.evidence import SqlEvidenceStore
from daemon.store.rows import ChangeRow, DraftRow
from daemon.store.states import ChangeState
from knowledge import codec
from knowledge.facts import FactChange


class _Clock:
    def now(self) -> dt.datetime:
        return NOW


class _Gathered:
    """Evidence that is at hand: the network is not what is measured."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._sources: dict[str, WikimediaEvidence] = {c.change.key: c.source for c in cases}

    async def gather(self, change: FactChange) -> Dossier:
        return await self._sources[change.key].gather(change)


def rate(cases: Sequence[Case]) -> float:
    """Changes a second of one round."""
    return asyncio.run(_round(cases))


async def _round(cases: Sequence[Case]) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        database = Database.open(f"sqlite:///{Path(scratch) / 'almanac.db'}")
        with database.write() as session:
            for case in cases:
                session.add(settled(case.change))
        async with checkpoint_store(Path(scratch) / "curate.db") as saver:
            made = Curator(
                evidence=_Gathered(cases),
                store=SqlEvidenceStore(database),
                checkpointer=saver,
                clock=lambda: NOW,
            )
            controller = CurateController(
                database, made, _Clock(), owner="bench", lease_s=600.0, attempts=3
            )
            started = time.perf_counter()
            while await controller.reconcile():
                pass
            took_s = time.perf_counter() - started
        with database.read() as session:
            proposed = session.exec(select(func.count()).select_from(DraftRow)).one()
        database.close()
    return proposed / took_s


def settled(change: FactChange) -> ChangeRow:
    """The row of a change that waits to be curated."""
    return ChangeRow(
        key=change.key,
        slot=change.slot,
        subject=change.subject.id,
        property=change.property,
        state=ChangeState.SETTLED,
        fact=codec.to_data(change),
        created_at=NOW,
        updated_at=NOW,
    )
