"""The job directory: what is to be trained, on what, and how (DESIGN 5). Imports no torch.

    job.json         the specification; its digest names the job
    progress.jsonl   stage, step, of, loss, tokens_per_s, eta_s, time, warning
    metrics.jsonl    one line a step and a check
    trajectories.jsonl, checkpoints/
    adapter/         appears at the end, whole, by one rename

`create_job` and `validate_job` are all that a planner needs; `run_job` trains, in this process.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from knowledge.edits import EditUnit, conflicts
from knowledge.narrative import digest_of
from knowledge.questions import Question
from trainer.errors import BadAdapter, BadBase, BadJob, Busy
from trainer.fingerprint import adapter_digest, base_digest, resolve_base
from trainer.journal import Listener, disk_errors, write_atomic
from trainer.pairs import training_pairs
from trainer.recipe import READS_NARRATIVES, Method, Recipe, load_recipe

JOB = "job.json"
ADAPTER = "adapter"


class JobSpec(BaseModel):
    """What one job trains. Everything that decides the result is in it or pinned by a digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    """Folder or hub name of the base model."""
    base_digest: str
    parent_adapter: str | None = None
    """Folder of the adapter that training goes on from; None: from the base."""
    parent_digest: str | None = None
    units: tuple[EditUnit, ...]
    replay: tuple[EditUnit, ...] = ()
    """Earlier units that must stay taught."""
    anchors: tuple[Question, ...] = ()
    """Locality and unrelated questions whose answers must not change."""
    recipe: Recipe
    seed: int = 0

    @property
    def digest(self) -> str:
        """Identity of the job: content by digest, no paths."""
        return digest_of(
            {
                "base": self.base_digest,
                "parent": self.parent_digest,
                "units": [u.digest for u in self.units],
                "replay": [u.digest for u in self.replay],
                "anchors": [asdict(q) for q in self.anchors],
                "recipe": self.recipe.digest,
                "seed": self.seed,
            }
        )

    @classmethod
    def plan(
        cls,
        *,
        base: str | Path,
        units: tuple[EditUnit, ...],
        recipe: str | Path | Recipe,
        parent_adapter: str | Path | None = None,
        replay: tuple[EditUnit, ...] = (),
        anchors: tuple[Question, ...] = (),
        seed: int = 0,
    ) -> JobSpec:
        """A specification with the digests of what is on this disk. Raises Permanent errors."""
        return cls(
            base=str(base),
            base_digest=base_digest(resolve_base(base)),
            parent_adapter=str(parent_adapter) if parent_adapter else None,
            parent_digest=adapter_digest(Path(parent_adapter)) if parent_adapter else None,
            units=tuple(units),
            replay=tuple(replay),
            anchors=tuple(anchors),
            recipe=recipe if isinstance(recipe, Recipe) else load_recipe(recipe),
            seed=seed,
        )


def create_job(directory: str | Path, spec: JobSpec) -> str:
    """Write the job's folder; its digest is returned. The same job again is no error.

    Raises BadJob when the folder holds another job or the specification cannot be trained.
    """
    folder = Path(directory)
    validate_spec(spec)
    if (folder / JOB).exists():
        if load_job(folder).digest != spec.digest:
            raise BadJob(f"{folder} holds another job: take a new folder")
        return spec.digest
    with disk_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        data = {"digest": spec.digest, **spec.model_dump(mode="json")}
        write_atomic(folder / JOB, json.dumps(data, ensure_ascii=False, indent=1).encode())
    return spec.digest


def load_job(directory: str | Path) -> JobSpec:
    """The specification in a job's folder. Raises BadJob."""
    path = Path(directory) / JOB
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        wanted = data.pop("digest")
        spec = JobSpec.model_validate(data)
    except OSError as error:
        raise BadJob(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, AttributeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise BadJob(f"{path} is not a job: {reason}") from error
    if spec.digest != wanted:
        raise BadJob(f"{path} was changed after it was written: create the job anew")
    return spec


def validate_spec(spec: JobSpec) -> None:
    """Check what can be checked without loading a model. Raises Permanent errors."""
    if not spec.units:
        raise BadJob("the job has no edit units: give it at least one")
    if spec.replay and not spec.parent_adapter:
        raise BadJob(
            "the job replays earlier units but has no parent adapter that knows them: "
            "give the parent, or make them units of this job"
        )
    seen: set[str] = set()
    for unit in (*spec.units, *spec.replay):
        if unit.id in seen:
            raise BadJob(f"unit {unit.id} stands twice in the job: leave one out")
        seen.add(unit.id)
        _check_unit(unit)
    for unit in spec.units:
        told = unit.narrative is not None and unit.narrative.prose.strip()
        if not told and spec.recipe.method in READS_NARRATIVES:
            raise BadJob(
                f"unit {unit.id} has no narrative, which method {spec.recipe.method} teaches from: "
                f"draft one before training it, or use {Method.CODE_NONCAUSAL}, which needs none"
            )
    clash = conflicts([*spec.units, *spec.replay])
    if clash:
        first, second = clash[0]
        raise BadJob(
            f"units {first.id} and {second.id} both change {first.slot}, to different values: "
            "train the later one alone and drop the superseded one"
        )


def _check_unit(unit: EditUnit) -> None:
    if not training_pairs(unit):
        raise BadJob(
            f"unit {unit.id} has no training questions about its own fact: make them before "
            "training it"
        )


def validate_job(directory: str | Path) -> JobSpec:
    """The specification, checked against the models on this disk. Raises Permanent errors."""
    spec = load_job(directory)
    validate_spec(spec)
    base = resolve_base(spec.base)
    found = base_digest(base)
    if found != spec.base_digest:
        raise BadBase(
            f"the base in {base} has digest {found[:12]}, the job was planned on "
            f"{spec.base_digest[:12]}: restore that base or plan the job anew"
        )
    _check_template(base)
    if spec.parent_adapter:
        _check_parent(spec, Path(spec.parent_adapter))
    return spec


def _check_template(base: Path) -> None:
    config = base / "tokenizer_config.json"
    try:
        known = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    except (OSError, ValueError) as error:
        raise BadBase(f"{config} cannot be read: {error}") from error
    if not known.get("chat_template") and not (base / "chat_template.jinja").is_file():
        raise BadBase(
            f"the tokenizer of {base} has no chat template: "
            "use an instruction-tuned model or add a chat_template"
        )


def _check_parent(spec: JobSpec, parent: Path) -> None:
    found = adapter_digest(parent)
    if found != spec.parent_digest:
        raise BadAdapter(
            f"the parent adapter in {parent} changed since the job was planned: plan the job anew"
        )
    manifest = parent / "manifest.json"
    if not manifest.is_file():
        return
    base = json.loads(manifest.read_text(encoding="utf-8")).get("base_digest")
    if base and base != spec.base_digest:
        raise BadAdapter(
            f"the parent adapter in {parent} was trained on base {base[:12]}, the job's base is "
            f"{spec.base_digest[:12]}: take an adapter of this base, or retrain from base"
        )


def run_job(directory: str | Path, progress: Listener | None = None) -> Path:
    """Train the job, going on from its last checkpoint; the finished adapter's folder.

    Raises TrainerError; then there is no adapter folder. A finished job is not trained again.
    """
    folder = Path(directory)
    spec = validate_job(folder)
    with _only_one(folder):
        adapter = folder / ADAPTER
        if adapter.is_dir():
            return adapter
        from trainer.session import train

        with disk_errors(str(folder)):
            return train(folder, spec, progress)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the job for this process; the system lets go of it when the process dies."""
    with disk_errors(str(folder)), (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"another process is training {folder}: wait for it to end") from error
        yield
