"""The finished adapter: weights, config, manifest and card in one folder, by one rename.

Owns the manifest's content. Everything in the folder is a function of the job, so that the same job
on the same machine gives the same bytes.
"""

from __future__ import annotations

import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
from peft import get_peft_model_state_dict

from trainer.engines.transformers import MANIFEST, TransformersEngine
from trainer.job import ADAPTER, JobSpec
from trainer.journal import disk_errors, sync_folder, write_synced
from trainer.student import STUDENT


def publish(
    directory: Path, spec: JobSpec, engine: TransformersEngine, metrics: dict[str, Any]
) -> Path:
    """Write the adapter's folder beside its place, then rename it there; its path."""
    part = directory / f"{ADAPTER}.part"
    final = directory / ADAPTER
    with disk_errors(str(part)):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            _write(part, spec, engine, metrics)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_folder(part)
        part.replace(final)
        sync_folder(directory)
    return final


def _write(part: Path, spec: JobSpec, engine: TransformersEngine, metrics: dict[str, Any]) -> None:
    write_adapter(part, engine, STUDENT, base=Path(spec.base).name)
    manifest = make_manifest(spec, metrics)
    write_synced(part / MANIFEST, _json(manifest))
    write_synced(part / "README.md", make_card(manifest).encode())


def write_adapter(folder: Path, engine: TransformersEngine, name: str, base: str = "") -> None:
    """Weights and config of a resident adapter, as PEFT and vLLM read them."""
    weights = get_peft_model_state_dict(engine.model, adapter_name=name)
    tensors = {n: t.detach().cpu().contiguous() for n, t in sorted(weights.items())}
    data = safetensors.torch.save(tensors, metadata={"format": "pt"})
    write_synced(folder / "adapter_model.safetensors", data)
    write_synced(folder / "adapter_config.json", _json(_adapter_config(engine, name, base)))


def _json(data: object) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _adapter_config(engine: TransformersEngine, name: str, base: str) -> dict[str, Any]:
    config = engine.model.peft_config[name].to_dict()
    config["base_model_name_or_path"] = base
    config["inference_mode"] = True
    return {k: sorted(v) if isinstance(v, (set, frozenset)) else v for k, v in config.items()}


def make_manifest(spec: JobSpec, metrics: dict[str, Any]) -> dict[str, Any]:
    """What the adapter is and where it comes from."""
    return {
        "job_digest": spec.digest,
        "recipe": spec.recipe.name,
        "recipe_digest": spec.recipe.digest,
        "method": spec.recipe.method,
        "base_digest": spec.base_digest,
        "parent_digest": spec.parent_digest,
        "units": {unit.id: unit.digest for unit in spec.units},
        "replay": {unit.id: unit.digest for unit in spec.replay},
        "synthetic": sorted(u.id for u in (*spec.units, *spec.replay) if u.synthetic),
        "anchors": len(spec.anchors),
        "seed": spec.seed,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "peft", "safetensors")},
        },
        "metrics": metrics,
    }


def make_card(manifest: dict[str, Any]) -> str:
    """The adapter's README in Markdown."""
    units = "\n".join(f"- `{unit}`" for unit in manifest["units"])
    parent = manifest["parent_digest"]
    started = f"the adapter `{parent[:12]}`" if parent else "the base model"
    return (
        "---\nlibrary_name: peft\ntags: [lora, knowledge-editing, almanac]\n---\n\n"
        "# Knowledge update by Almanac\n\n"
        f"LoRA adapter trained with method `{manifest['method']}` "
        f"(recipe `{manifest['recipe']}`, seed {manifest['seed']}), going on from {started}.\n\n"
        f"It belongs to the base model `{manifest['base_digest'][:12]}` and to no other. "
        "`manifest.json` says what it was trained on and what was measured in training; "
        "whether it is better is the evaluation's to say.\n\n"
        f"Edits taught ({len(manifest['units'])}):\n\n{units}\n\n"
        f"Earlier edits replayed: {len(manifest['replay'])}. "
        f"Anchor questions: {manifest['anchors']}.\n"
    )
