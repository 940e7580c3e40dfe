"""Two workers and a web role on one PostgreSQL against one worker and a web role: how they share.

Owns the changes to curate, the scripted model that answers after 200 ms, the rate of a run (from
its first proposal to its last, so that no start counts), and the count of what was done twice. The
processes are `service_crew`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from sqlmodel import col, func, select

from agents.curate import Curator
from daemon.bench import curator_cases
from daemon.bench.curator_cases import Case
from daemon.bench.curator_scripted import YES, Answer, ScriptedServer, is_draft, says
from daemon.bench.curator_speed import settled
from daemon.bench.curator_wiki import NOW, Store
from daemon.bench.postgres_server import PostgresServer
from daemon.bench.rows import Op, Row
from daemon.bench.service_crew import Crew
from daemon.bench.service_wikidata import Addresses, wikidata
from daemon.operating import Role, WorkerSettings
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, DraftRow, LeaseRow
from daemon.store.states import ChangeState
from knowledge.narrative import CausalNarrative

SEED = "workers"
ANSWER_S = 0.2
ROUNDS = 3
_LLM, _TEMPLATE = "endpoint of 200 ms", "template drafter"
_CHANGES = {_LLM: 200, _TEMPLATE: 300}
_BARS = {_LLM: 1.8, _TEMPLATE: 1.2}
_QUICK_CHANGES = 24
_WARMING = 48
"""At most so many changes are spent until each worker has drafted: what it loads for its first one
is no part of its rate."""
_LIMIT_S = 600.0
_LOOK_S = 0.25
_BATCH = WorkerSettings().batch
_UNDER_WAY = (ChangeState.SETTLED, ChangeState.DRAFTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run of one crew."""

    per_s: float
    """Proposals a second, from the first to the last."""
    twice: int
    """Changes that were claimed or proposed again, and questions that the endpoint was asked
    again."""


def worker_rows(quick: bool) -> list[Row]:
    """Both drafters, each with one worker and with two (quick: one round of few changes)."""
    try:
        import pgserver  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        return [
            _skipped(what, bar, str(error))
            for drafter in _BARS
            for what, bar in ((_ratio(drafter), _BARS[drafter]), (_twice(drafter), 0))
        ]
    told = cases()
    with (
        tempfile.TemporaryDirectory(prefix="almanac-crew-") as scratch,
        PostgresServer(Path(scratch) / "pg") as server,
        wikidata(Path(scratch), SEED, [case.change.slot for case in told]) as wiki,
    ):
        stage = _Stage(folder=Path(scratch), server=server, wiki=wiki)
        numbers = dict.fromkeys(_CHANGES, _QUICK_CHANGES) if quick else _CHANGES
        # Not measured: the first to curate a change asks Wikidata, all others its memory.
        stage.run("first", told[: max(numbers.values()) + _WARMING], None, workers=2)
        rounds = 1 if quick else ROUNDS
        return [
            row
            for drafter, number in numbers.items()
            for row in _measured(stage, drafter, told[: number + _WARMING], rounds)
        ]


def _measured(stage: _Stage, drafter: str, chosen: Sequence[Case], rounds: int) -> list[Row]:
    model = Model(chosen) if drafter == _LLM else None
    name = "llm" if model else "template"
    pairs = [
        [
            stage.run(f"{name}_{turn}_{workers}", chosen, model, workers=workers)
            for workers in (1, 2)
        ]
        for turn in range(rounds)
    ]
    detail = (
        f"{len(chosen) - _WARMING} changes, proposals a second of two and of one: "
        + ", ".join(f"{two.per_s:.1f}/{one.per_s:.1f}" for one, two in pairs)
        + "; the median counts"
    )
    ratio = statistics.median(two.per_s / one.per_s for one, two in pairs)
    twice = sum(run.twice for pair in pairs for run in pair)
    return [
        Row(
            what=_ratio(drafter),
            value=round(ratio, 2),
            unit="x",
            bar=_BARS[drafter],
            op=Op.AT_LEAST,
            detail=detail,
        ),
        Row(what=_twice(drafter), value=twice, unit="", bar=0, op=Op.EQUAL),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What all runs stand on."""

    folder: Path
    server: PostgresServer
    wiki: Addresses

    def run(
        self, name: str, chosen: Sequence[Case], model: Model | None, *, workers: int
    ) -> Outcome:
        """So many workers and a web role, with a database and homes of their own."""
        folder = self.folder / name
        folder.mkdir()
        url = self.server.fresh(name)
        database = Database.open(url)
        with contextlib.ExitStack() as stack:
            stack.callback(database.close)
            endpoint = stack.enter_context(ScriptedServer.serving(model.answer)) if model else None
            crew = stack.enter_context(
                Crew(
                    folder,
                    database_url=url,
                    wikidata=self.wiki,
                    model_url=endpoint.url if endpoint else None,
                    roles=[Role.WEB, *[Role.WORKER] * workers],
                )
            )
            warm = _warm(database, crew, chosen, workers)
            measured = chosen[warm : warm + len(chosen) - _WARMING]
            _curate(database, crew, measured)
            proposed_at, twice = _read(database, warm, len(measured))
        if model and endpoint:
            twice += model.surplus(endpoint.requests)
        took_s = (proposed_at[-1] - proposed_at[0]).total_seconds()
        return Outcome(per_s=(len(proposed_at) - 1) / took_s, twice=twice)


def _warm(database: Database, crew: Crew, chosen: Sequence[Case], workers: int) -> int:
    """The number of changes that were curated until each worker had a part in it. Raises
    RuntimeError when one has none."""
    step = _BATCH * workers
    for start in range(0, _WARMING, step):
        _curate(database, crew, chosen[start : start + step])
        with database.read() as session:
            leases = select(LeaseRow.owner).where(col(LeaseRow.resource).startswith("change:"))
            if len(set(session.exec(leases))) == workers:
                return start + step
    raise RuntimeError(f"not all of {workers} workers took changes, of {_WARMING}")


def _curate(database: Database, crew: Crew, chosen: Sequence[Case]) -> None:
    """Settle these changes and wait until each has gone on. Raises RuntimeError."""
    with database.write() as session:
        session.add_all(settled(case.change) for case in chosen)
    until = time.monotonic() + _LIMIT_S
    left = 0
    while time.monotonic() < until:
        with database.read() as session:
            left = session.exec(
                select(func.count())
                .select_from(ChangeRow)
                .where(col(ChangeRow.state).in_(_UNDER_WAY))
            ).one()
        if not left:
            return
        crew.check()
        time.sleep(_LOOK_S)
    raise RuntimeError(f"{left} changes were not curated within {_LIMIT_S:.0f} s")


def _read(database: Database, warm: int, number: int) -> tuple[list[dt.datetime], int]:
    """When the proposals after the first `warm` were made, in order, and how many changes were
    worked on twice: a fencing token counts the claims. Raises RuntimeError when a change did not
    become a proposal."""
    with database.read() as session:
        drafts = session.exec(select(DraftRow.change_id, DraftRow.created_at)).all()
        states = Counter(session.exec(select(ChangeRow.state)).all())
        why = session.exec(select(ChangeRow.reason).where(ChangeRow.state == ChangeState.FAILED))
        first = why.first()
        claims = session.exec(
            select(LeaseRow.resource, LeaseRow.token).where(
                col(LeaseRow.resource).startswith("change:")
            )
        ).all()
    if states != {ChangeState.IN_REVIEW: warm + number}:
        raise RuntimeError(f"not every change became a proposal: {dict(states)}; {first}")
    again = {f"change:{n}" for n, drafted in Counter(n for n, _ in drafts).items() if drafted > 1}
    again |= {resource for resource, token in claims if token > 1}
    return sorted(at for n, at in drafts if n > warm), len(again)


class Model:
    """A model whose drafts pass every rule, so that each change takes one draft and one verdict on
    each of its claims."""

    def __init__(self, chosen: Sequence[Case]) -> None:
        narratives = asyncio.run(_narratives(chosen))
        self._drafts = {_key_of(c): n for c, n in zip(chosen, narratives, strict=True)}
        self._wanted: Counter[str] = Counter(f"draft {key}" for key in self._drafts)
        self._wanted.update(
            f"verdict {claim.text} {[span.text for span in claim.spans]}"
            for narrative in narratives
            for claim in narrative.claims
            if claim.spans
        )

    def answer(self, request: dict[str, Any], _number: int) -> Answer:
        """After 200 ms."""
        if not is_draft(request):
            return Answer(body=YES.body, wait_s=ANSWER_S)
        told = _data(request)
        narrative = self._drafts[(told["subject"], told["old"], told["new"])]
        sentences = {claim.kind.value: claim.text for claim in narrative.claims}
        body = says(json.dumps(sentences, ensure_ascii=False)).body
        return Answer(body=body, wait_s=ANSWER_S)

    def surplus(self, requests: Sequence[dict[str, Any]]) -> int:
        """How many questions were asked more often than the changes need."""
        asked: Counter[str] = Counter()
        for request in requests:
            told = _data(request)
            if is_draft(request):
                asked[f"draft {(told['subject'], told['old'], told['new'])}"] += 1
            else:
                asked[f"verdict {told['claim']} {told['quotes']}"] += 1
        return (asked - self._wanted).total()


def cases() -> list[Case]:
    """The changes of the scenario that the local Wikidata serves, told apart by their names."""
    found = {_key_of(case): case for case in curator_cases.scenario(SEED, everything=True)}
    return list(found.values())


async def _narratives(chosen: Sequence[Case]) -> list[CausalNarrative]:
    """As the template tells them."""
    found: list[CausalNarrative] = []
    for case in chosen:
        made = Curator(
            evidence=case.source, store=Store(), checkpointer=InMemorySaver(), clock=lambda: NOW
        )
        proposal = await made.propose(case.change)
        assert proposal.unit.narrative is not None
        found.append(proposal.unit.narrative)
    return found


def _key_of(case: Case) -> tuple[str, str, str]:
    change = case.change
    assert change.old is not None and change.new is not None
    return change.subject.label, change.old.label, change.new.label


def _data(request: dict[str, Any]) -> dict[str, Any]:
    return json.loads(request["messages"][1]["content"])


def _ratio(drafter: str) -> str:
    return f"two workers, {drafter}, throughput over one"


def _twice(drafter: str) -> str:
    return f"two workers, {drafter}, items done twice"


def _skipped(what: str, bar: float, reason: str) -> Row:
    op, unit = (Op.AT_LEAST, "x") if bar else (Op.EQUAL, "")
    return Row(what=what, value=None, unit=unit, bar=bar, op=op, detail=reason)
