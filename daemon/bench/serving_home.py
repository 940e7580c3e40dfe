"""A home with versions that can be told apart by their answers, for the gateway's bench.

Owns the teaching (a few steps of fine-tuning on a handful of plain questions, which takes seconds
and shows nothing about editing), the rows behind it, and what each version answers by itself.
Loads torch.
"""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sqlmodel import Session

from daemon.clock import SystemClock
from daemon.registry import Blobs, Registry
from daemon.serving.embedded import EmbeddedEngine
from daemon.store.engine import Database
from daemon.store.rows import ChangeRow, EvaluationRow, ReleaseRow, ReleaseUnitRow, UnitRow
from daemon.store.states import ChangeState, ReleaseState
from knowledge import codec
from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Entity, FactChange
from knowledge.model import Sampling
from knowledge.questions import Question, QuestionKind, Use
from knowledge.rendering import closed_book
from trainer.divergence import cross_entropy_from_hidden
from trainer.engines.transformers import TransformersEngine
from trainer.student import answer_hidden, answer_targets

TOWNS = ("Ostavia", "Welland", "Norrin", "Sardo", "Kelvany", "Tirmond")
FIRST = ("Ivo", "Mira", "Tomas", "Lea", "Emil", "Ada", "Jon", "Ana")
LAST = ("Brandt", "Kolm", "Reel", "Varga", "Lund", "Tan", "Pike", "Sorel")
ANSWER_TOKENS = 24
_STEPS = 80
_LEARNT = 0.01
"""Mean loss of a token at which the answers are known by heart."""
_LEARNING_RATE = 5e-3


@dataclass(frozen=True, slots=True)
class Home:
    """A home with `versions` 1 to n and what each of them, and the base model, answers."""

    path: Path
    base: Path
    registry: Registry
    database: Database
    digests: tuple[str, ...]
    answers: dict[str, dict[str, str]]
    """By version's label, then by question."""

    @property
    def questions(self) -> list[str]:
        return [question_of(town) for town in TOWNS]

    def close(self) -> None:
        self.database.close()


def question_of(town: str) -> str:
    return f"Who leads {town}?"


def name_of(version: int, place: int) -> str:
    return f"{FIRST[(version + place) % len(FIRST)]} {LAST[(3 * version + place) % len(LAST)]}"


def build(folder: Path, base: Path, versions: int) -> Home:
    """Teach and register so many versions, each passed, in a new home."""
    home = folder / "home"
    home.mkdir()
    database = Database.open(f"sqlite:///{home / 'almanac.db'}")
    registry = Registry(database, Blobs(home / "blobs"), SystemClock())
    engine = TransformersEngine.load(base, threads=1)
    digests: list[str] = []
    for number in range(1, versions + 1):
        made = folder / f"adapter-{number}"
        teach(engine, number, made)
        release = _release(database, number)
        version = registry.register(
            made,
            base_model=str(base),
            release=release,
            manifest={"base_digest": engine.base_digest, "method": "bench"},
        )
        assert version.digest is not None
        pass_(registry, database, version.digest)
        digests.append(version.digest)
        shutil.rmtree(made)
    answers = _answers(base, registry, digests)
    return Home(home, base, registry, database, tuple(digests), answers)


def teach(engine: TransformersEngine, version: int, folder: Path) -> None:
    """Fine-tune an adapter until it gives this version's answers, and save it."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(version)
    plain = engine.model
    config = LoraConfig(
        r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"
    )
    model: Any = get_peft_model(plain, config)
    rows = []
    for place, town in enumerate(TOWNS):
        chat = closed_book(question_of(town))
        answer = f"{name_of(version, place)} leads {town}."
        rows.append((engine.chat.prompt(chat), engine.chat.completion(chat, answer)))
    network, head = engine.network, plain.get_output_embeddings()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=_LEARNING_RATE, weight_decay=0.0)
    targets = answer_targets(rows, engine.device)
    model.train()
    for _ in range(_STEPS):
        hidden = answer_hidden(network, rows)
        loss = cross_entropy_from_hidden(hidden, head, targets, chunk=4096) / len(targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if float(loss.detach()) < _LEARNT:
            break
    model.eval()
    model.save_pretrained(str(folder))
    engine.model = model.unload()


def pass_(registry: Registry, database: Database, digest: str) -> None:
    """A verdict that lets the version be promoted."""
    row = EvaluationRow(
        adapter_digest=digest,
        verdict="pass",
        policy="bench",
        gate={},
        evaluation={},
        created_at=dt.datetime.now(dt.UTC),
    )
    with database.write() as session:
        registry.add_evaluation(session, row)


def _answers(base: Path, registry: Registry, digests: list[str]) -> dict[str, dict[str, str]]:
    """What each version says, one question at a time, without any gateway. Raises RuntimeError when
    two versions say the same: their answers could not be told apart."""
    engine = EmbeddedEngine.load(base, threads=1)
    found: dict[str, dict[str, str]] = {}
    for number, digest in enumerate([None, *digests]):
        name = f"v{number}" if digest else None
        if name and digest:
            engine.load_adapter(name, registry.path_of(digest))
        sampling = Sampling(max_new_tokens=ANSWER_TOKENS)
        found[f"v{number}"] = {
            question: answer_directly(engine, name, question, sampling)
            for question in map(question_of, TOWNS)
        }
    for question in found["v0"]:
        if len({answers[question] for answers in found.values()}) != len(found):
            raise RuntimeError(f"two versions answer {question!r} alike; teach them longer")
    return found


def answer_directly(
    engine: EmbeddedEngine, adapter: str | None, question: str, sampling: Sampling
) -> str:
    """The answer of the engine itself."""
    (running,) = engine.begin([(adapter, closed_book(question), sampling)])
    while not running.done:
        engine.step()
    engine.step()  # lets go of the finished row
    return running.text()


def _release(database: Database, version: int) -> int:
    """A release with the facts of this version, as if it had been trained the long way."""
    now = dt.datetime.now(dt.UTC)
    with database.write() as session:
        release = ReleaseRow(
            state=ReleaseState.PASSED.value,
            batch_digest=f"bench-{version}",
            recipe="bench",
            seed=version,
            created_at=now,
            updated_at=now,
        )
        session.add(release)
        session.flush()
        assert release.id is not None
        for place, town in enumerate(TOWNS):
            _add_unit(session, release.id, _unit(version, place, town), place, now)
        return release.id


def _unit(version: int, place: int, town: str) -> EditUnit:
    name = name_of(version, place)
    question = Question(
        kind=QuestionKind.DIRECT,
        use=Use.EXAM,
        text=question_of(town),
        answers=(name,),
        reference=f"{name} leads {town}.",
    )
    number = 2_000_100_000 + 100 * version + place
    fact = FactChange(
        subject=Entity(id=f"Q{2_000_200_000 + 100 * version + place}", label=town, kind="city"),
        property="P6",
        old=None,
        new=Entity(id=f"Q{number}", label=name, kind="person"),
        kind=ChangeKind.SUCCESSION,
    )
    return EditUnit(
        id=f"bench-{version}-{place}", change=fact, narrative=None, questions=(question,)
    )


def _add_unit(session: Session, release: int, unit: EditUnit, place: int, now: dt.datetime) -> None:
    fact = unit.change
    change = ChangeRow(
        key=fact.key,
        slot=fact.slot,
        subject=fact.subject.id,
        property=fact.property,
        state=ChangeState.BATCHED.value,
        fact=codec.to_data(fact),
        created_at=now,
        updated_at=now,
    )
    session.add(change)
    session.flush()
    assert change.id is not None
    session.add(
        UnitRow(
            digest=unit.digest,
            id=unit.id,
            change_id=change.id,
            slot=unit.slot,
            body=codec.to_data(unit),
            created_at=now,
        )
    )
    session.flush()
    session.add(ReleaseUnitRow(release_id=release, unit_digest=unit.digest, position=place))
