"""SIGKILL in each step of the graph: the next run goes on, nothing finished is done again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents.checkpoints import postgres_checkpoints
from agents.curate import checkpoint_store
from agents.drafting.draft import Draft, DraftRequest
from agents.drafting.template import TemplateDrafter
from agents.errors import Drained
from agents.evidence.sources import Dossier
from agents.proposals import Proposal
from agents.questions import Neighbour
from agents.verifying.verdict import Verdict
from daemon.bench.curator_wiki import Store, curator, moldova
from daemon.store import postgres
from knowledge.codec import to_json
from knowledge.facts import Entity, FactChange
from tests.databases import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("gather", "put", "draft", "judge", "neighbours")
ON_POSTGRES = ("draft", "neighbours")


class Watched:
    """All ports of the curator in one; logs each call, and dies in the place it is told to."""

    identity, name = "watched", "llm/watched"

    def __init__(self, log: Path, die_in: str) -> None:
        self.wiki, self.change = moldova()
        self.log, self.die_in = log, die_in
        self.store = Store()

    def at(self, place: str) -> None:
        with self.log.open("a") as handle:
            handle.write(place + "\n")
        if place == self.die_in:
            os.kill(os.getpid(), signal.SIGKILL)

    async def gather(self, change: FactChange) -> Dossier:
        self.at("gather")
        return await self.wiki.source().gather(change)

    async def put(self, *evidence: object) -> None:
        self.at("put")

    async def draft(self, request: DraftRequest) -> Draft:
        draft = await TemplateDrafter().draft(request)
        self.at("draft")
        return draft

    async def judge(self, narrative: object, *, version: int) -> Verdict:
        self.at("judge")
        return Verdict(source=self.name)

    async def neighbours(self, property: str, subject: Entity, limit: int) -> list[Neighbour]:
        self.at("neighbours")
        return []


def checkpoints(folder: Path):
    """The checkpoint store of this folder's run: PostgreSQL where a file names its database."""
    url = folder / "url"
    if url.exists():
        return postgres_checkpoints(postgres.conninfo(url.read_text()))
    return checkpoint_store(folder / "curate.db")


async def propose(folder: Path, die_in: str) -> Proposal:
    ports = Watched(folder / "log", die_in)
    async with checkpoints(folder) as saver:
        made = curator(
            ports.wiki,
            saver,
            evidence=ports,
            store=ports,
            drafter=ports,
            judge=ports,
            neighbours=ports,
        )
        return await made.propose(ports.change)


def child(folder: Path, die_in: str) -> int:
    code = (
        "import asyncio, sys; from pathlib import Path;"
        "from tests.integration.test_curate_kill import propose;"
        "asyncio.run(propose(Path(sys.argv[1]), sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(folder), die_in]
    return subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode


@pytest.mark.parametrize(
    ("places", "backend"), [(PLACES, "sqlite"), (ON_POSTGRES, "postgresql")], ids=lambda v: str(v)
)
def test_a_kill_in_any_step_loses_and_repeats_nothing_that_was_finished(
    tmp_path: Path, places: tuple[str, ...], backend: str
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    undisturbed = asyncio.run(propose(plain, ""))
    for place in places:
        folder = tmp_path / place
        folder.mkdir()
        if backend == "postgresql":
            (folder / "url").write_text(PostgresServer.shared().empty())
        assert child(folder, place) == -signal.SIGKILL
        assert to_json(asyncio.run(propose(folder, ""))) == to_json(undisturbed)
        calls = (folder / "log").read_text().split()
        for other in ("gather", "draft", "judge", "neighbours"):
            hit = place == other or (place == "put" and other == "gather")
            assert calls.count(other) == (2 if hit else 1), (place, other)


def test_a_finished_run_answers_again_without_any_call(tmp_path: Path) -> None:
    first = asyncio.run(propose(tmp_path, ""))
    calls = (tmp_path / "log").read_text()
    assert asyncio.run(propose(tmp_path, "")) == first
    assert (tmp_path / "log").read_text() == calls


def test_a_drained_run_goes_on_later(tmp_path: Path) -> None:
    async def run() -> Proposal:
        wiki, change = moldova()
        async with checkpoint_store(tmp_path / "c.db") as saver:
            ports = Watched(tmp_path / "log", "")

            class Draining(TemplateDrafter):
                async def draft(self, request: DraftRequest) -> Draft:
                    made.drain()
                    return await super().draft(request)

            made = curator(wiki, saver, evidence=ports, drafter=Draining())
            with pytest.raises(Drained):
                await made.propose(change)
            return await curator(wiki, saver, evidence=ports).propose(change)

    assert asyncio.run(run()).clean
    assert (tmp_path / "log").read_text().split() == ["gather"]
