"""What an adapter's folder may hold, and its content digest. Pure but for reading the files.

Owns admission (safetensors only, a plain LoRA configuration) and the digest: sha256 over the sorted
(path, sha256) of the adapter's files. Does not move files.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.errors import BlobError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
TEMPLATE = "chat_template.jinja"
MANIFEST = "manifest.json"
FILES = (CONFIG, WEIGHTS, TEMPLATE, MANIFEST)
"""The files that make an adapter; template and manifest are optional, others are not taken."""

_PATH = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
_EXTRAS = ("modules_to_save", "trainable_token_indices", "target_parameters", "layer_replication")
"""Settings of PEFT that put more into an adapter than pairs of low rank, which engines that serve
many adapters leave out or misread."""
_HEADS = frozenset({"lm_head", "embed_tokens", "wte", "wpe", "embed_in", "embed_out", "score"})
_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})
_DTYPES = frozenset({"F64", "F32", "F16", "BF16"})
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the format's own reader


def files_of(folder: Path) -> list[Path]:
    """The adapter's files in `folder`. Raises BlobError when it is no acceptable adapter."""
    if not folder.is_dir():
        raise BlobError(f"{folder} is no folder; an adapter is one with {CONFIG} and {WEIGHTS}")
    for path in folder.rglob("*"):
        if path.suffix.lower() in _PICKLES:
            raise BlobError(
                f"{path.name} can carry code; save the adapter as safetensors and remove that file"
            )
    for name in (CONFIG, WEIGHTS):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BlobError(f"{folder} has no {name}; an adapter needs {CONFIG} and {WEIGHTS}")
    _check_config(folder / CONFIG)
    _check_weights(folder / WEIGHTS)
    return [path for name in FILES if (path := folder / name).is_file()]


def hashes(paths: list[Path], root: Path) -> dict[str, str]:
    """sha256 (hex) of each file, by its path below `root`."""
    return {path.relative_to(root).as_posix(): hash_file(path) for path in sorted(paths)}


def digest_of_files(paths: list[Path], root: Path) -> str:
    """sha256 (hex) over the sorted (path, sha256) of files below `root`."""
    lines = sorted(hashes(paths, root).items())
    return hashlib.sha256(json.dumps(lines, separators=(",", ":")).encode()).hexdigest()


def hash_file(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def manifest_of(folder: Path) -> dict[str, Any]:
    """Where an adapter comes from, as its trainer wrote it; empty when it wrote nothing."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BlobError(f"{path} is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise BlobError(f"{path} holds no object")
    return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two low-rank matrices of one module: their rank, and what they map between."""

    module: str
    """Path in the base model, e.g. `model.layers.0.self_attn.q_proj`."""
    rank: int
    inputs: int
    outputs: int


def pairs_of(folder: Path) -> list[Pair]:
    """The modules that an acceptable adapter changes, sorted. Raises BlobError for tensors that are
    no part of a LoRA pair or that its configuration does not name."""
    path = folder / WEIGHTS
    targets = _targets(_read_config(folder / CONFIG), folder / CONFIG)
    shapes: dict[str, dict[str, list[int]]] = {}
    for name, row in tensors_of(path).items():
        match = _PATH.fullmatch(name)
        if match is None:
            raise BlobError(f"{path} holds {name}, which is no part of a LoRA adapter")
        module, side = match.groups()
        if module.rpartition(".")[2] not in targets:
            raise BlobError(
                f"{path} changes {module}, which {CONFIG} does not name as a target "
                f"({', '.join(sorted(targets))})"
            )
        shapes.setdefault(module, {})[side] = row["shape"]
    return [_pair(path, module, shapes[module]) for module in sorted(shapes)]


def _pair(path: Path, module: str, sides: dict[str, list[int]]) -> Pair:
    a, b = sides.get("A", []), sides.get("B", [])
    if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
        raise BlobError(f"{path}: the two matrices of {module} do not fit each other ({a}, {b})")
    return Pair(module=module, rank=a[0], inputs=a[1], outputs=b[0])


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BlobError(f"{path} is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise BlobError(f"{path} holds no object")
    return config


def _check_config(path: Path) -> None:
    config = _read_config(path)
    if config.get("peft_type") != "LORA":
        raise BlobError(f"{path} is no LoRA configuration; only LoRA adapters can be served")
    if config.get("auto_mapping"):
        raise BlobError(f"{path} has an auto_mapping, which would import foreign code; remove it")
    rank = config.get("r")
    if not isinstance(rank, int) or not 1 <= rank <= 1024:
        raise BlobError(f"{path} has rank {rank!r}; it must be a number from 1 to 1024")
    if extra := [name for name in _EXTRAS if config.get(name)]:
        raise BlobError(f"{path} sets {', '.join(extra)}; an adapter is pairs of low rank alone")
    if config.get("use_dora") or config.get("bias", "none") != "none":
        raise BlobError(f"{path} uses DoRA or trains biases, which cannot be served; train without")
    _targets(config, path)


def _targets(config: dict[str, Any], path: Path) -> frozenset[str]:
    """Last names of the modules that the adapter may change."""
    targets = config.get("target_modules")
    if not isinstance(targets, list) or not targets or not all(isinstance(t, str) for t in targets):
        raise BlobError(f"{path} lists no target_modules by name; save the adapter with PEFT")
    names = frozenset(target.rpartition(".")[2] for target in targets)
    if heads := sorted(names & _HEADS):
        raise BlobError(
            f"{path} targets {', '.join(heads)}; adapters of embeddings and heads are not served"
        )
    return names


def tensors_of(path: Path) -> dict[str, dict[str, Any]]:
    """The header of a safetensors file: type, shape and place of each tensor. Raises BlobError when
    the tensors do not fill the file exactly."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise BlobError(f"{path} is no whole safetensors file; write it again")
        try:
            header = json.loads(handle.read(length))
            tensors = {name: row for name, row in header.items() if name != "__metadata__"}
            ends = [row["data_offsets"][1] for row in tensors.values()]
            _ = [(row["dtype"], *row["shape"]) for row in tensors.values()]
        except (ValueError, KeyError, AttributeError, TypeError, IndexError):
            raise BlobError(f"{path} has a broken safetensors header; write it again") from None
    if not tensors or max(ends) != size - 8 - length:
        raise BlobError(f"{path} is empty or cut off; write it again")
    return tensors


def _check_weights(path: Path) -> None:
    """Sound, and nothing but floats in LoRA pairs."""
    kinds = {row["dtype"] for row in tensors_of(path).values()}
    if odd := sorted(kinds - _DTYPES):
        raise BlobError(f"{path} holds tensors of type {', '.join(odd)}; weights are floats")
    pairs_of(path.parent)
