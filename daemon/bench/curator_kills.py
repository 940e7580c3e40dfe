"""SIGKILL in each step of curating, and what the next run makes of it.

Owns the child process that dies where it is told to, after the step's work and before its
checkpoint, and the count of what was paid for twice. The model is a scripted server of the parent.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
from sqlmodel import select

from agents.curate import CurateSettings, Curator, checkpoint_store
from agents.drafting.chat import ChatSettings, JsonChat
from agents.drafting.llm import LlmDrafter
from agents.knowing import Production
from agents.steps import Steps
from agents.verifying.llm import EntailmentJudge
from daemon.bench.curator_scripted import ScriptedServer, drafting, good
from daemon.bench.curator_speed import settled
from daemon.bench.curator_wiki import NOW, moldova
from daemon.bench.rows import ROOT
from daemon.controllers.curate import CurateController
from daemon.store import leases
from daemon.store.engine import Database
from daemon.store.evidence import SqlEvidenceStore
from daemon.store.rows import AnswerRow, ChangeRow, DraftRow
from daemon.store.spending import SqlAnswerLedger

STEPS = ("ask", "ground", "draft", "verify", "judge", "revise", "questions", "propose")
PLACES = (*STEPS, "kept_1", "kept_3", "committed")
"""After the work of a step, after the n-th answer was stored, after the proposal was committed."""
OWNER = "bench"
_LIMIT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a kill in one place led to."""

    place: str
    killed: bool
    repeated: int
    """Answers that were stored when it was killed and were asked for again."""
    drafts: int
    digest: str


class _Clock:
    def now(self) -> dt.datetime:
        return NOW


class _Knows:
    """A production that knows the old state."""

    async def answers(self, questions: Sequence[str]) -> Sequence[str]:
        return ["Natalia Gavrilița."] * len(questions)


def run(places: Sequence[str] = PLACES) -> list[Outcome]:
    """Each place once, and first an undisturbed run (place ``""``)."""
    undisturbed, needed = _one("", 0)
    return [undisturbed, *(_one(place, needed)[0] for place in places)]


def _one(place: str, needed: int) -> tuple[Outcome, int]:
    """The outcome, and how many answers it took in all; `needed` of them without a kill."""
    bad_then_good = drafting(good(cause="The reason was a scandal."), good())
    with (
        tempfile.TemporaryDirectory() as scratch,
        ScriptedServer.serving(bad_then_good) as server,
    ):
        home = Path(scratch)
        status = _child(home, server.url, place) if place else 0
        stored, before = _stored(home) if place else 0, len(server.answered)
        asyncio.run(_curate(home, server.url, ""))
        asked_again = len(server.answered) - before
        database = Database.open(f"sqlite:///{home / 'almanac.db'}")
        with database.read() as session:
            digests = [row.digest for row in session.exec(select(DraftRow)).all()]
        database.close()
    made = Outcome(
        place=place,
        killed=status == -signal.SIGKILL,
        repeated=max(0, asked_again - (needed - stored)) if place else 0,
        drafts=len(digests),
        digest=digests[0] if digests else "",
    )
    return made, asked_again


def _stored(home: Path) -> int:
    database = Database.open(f"sqlite:///{home / 'almanac.db'}")
    with database.read() as session:
        count = len(session.exec(select(AnswerRow)).all())
    database.close()
    return count


def _child(home: Path, url: str, place: str) -> int:
    command = [sys.executable, "-m", "daemon.bench.curator_kills", str(home), url, place]
    return subprocess.run(command, cwd=ROOT, timeout=_LIMIT_S, check=False).returncode


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Ledger(SqlAnswerLedger):
    """Dies once it has stored so many answers."""

    dies_after = 0

    async def keep(self, model: str, request: str, reply: Any) -> None:
        await super().keep(model, request, reply)
        self.dies_after -= 1
        if self.dies_after == 0:
            _die()


def _deadly(step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def dying(*args: Any) -> Any:
        await step(*args)
        _die()

    return dying


async def _curate(home: Path, url: str, place: str) -> None:
    """One step of the controller over a database with one settled change; dies in `place`."""
    if place in STEPS:
        setattr(Steps, place, _deadly(getattr(Steps, place)))
    database = Database.open(f"sqlite:///{home / 'almanac.db'}")
    wiki, change = moldova()
    with database.write() as session:
        leases.release_all(session, OWNER)
        if session.exec(select(ChangeRow)).first() is None:
            session.add(settled(change))
    ledger = _Ledger(database, _Clock())
    if place.startswith("kept_"):
        ledger.dies_after = int(place.removeprefix("kept_"))
    production: Production = _Knows()
    async with (
        openai.AsyncOpenAI(base_url=url, api_key="k") as client,
        checkpoint_store(home / "curate.db") as saver,
    ):
        chat = JsonChat(client, ChatSettings(model="scripted", pause_s=0.01), answers=ledger)
        made = Curator(
            evidence=wiki.source(),
            store=SqlEvidenceStore(database),
            checkpointer=saver,
            drafter=LlmDrafter(chat),
            judge=EntailmentJudge(chat),
            production=production,
            clock=lambda: NOW,
            settings=CurateSettings(first_pause_s=0.01),
        )
        if place == "committed":
            made.forget = _deadly(made.forget)  # type: ignore[method-assign]
        controller = CurateController(
            database, made, _Clock(), owner=OWNER, lease_s=600.0, attempts=3
        )
        await controller.reconcile()
    database.close()


if __name__ == "__main__":
    asyncio.run(_curate(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
