"""What an adapter's folder may hold, and its content digest. Pure but for reading the files.

Owns admission (safetensors only, a plain LoRA configuration) and the digest: sha256 over the sorted
(path, sha256) of the adapter's files. Does not move files.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from daemon.errors import BlobError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
TEMPLATE = "chat_template.jinja"
MANIFEST = "manifest.json"
FILES = (CONFIG, WEIGHTS, TEMPLATE, MANIFEST)
"""The files that make an adapter; template and manifest are optional, others are not taken."""

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


def digest_of_files(paths: list[Path], root: Path) -> str:
    """sha256 (hex) over the sorted (path, sha256) of files below `root`."""
    lines = sorted((str(path.relative_to(root).as_posix()), hash_file(path)) for path in paths)
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


def _check_config(path: Path) -> None:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BlobError(f"{path} is no JSON: {error}") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise BlobError(f"{path} is no LoRA configuration; only LoRA adapters can be served")
    if config.get("auto_mapping"):
        raise BlobError(f"{path} has an auto_mapping, which would import foreign code; remove it")
    rank = config.get("r")
    if not isinstance(rank, int) or not 1 <= rank <= 1024:
        raise BlobError(f"{path} has rank {rank!r}; it must be a number from 1 to 1024")


def _check_weights(path: Path) -> None:
    """The safetensors header is sound and its tensors fill the file exactly."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise BlobError(f"{path} is no whole safetensors file; write it again")
        try:
            header = json.loads(handle.read(length))
            tensors = {name: row for name, row in header.items() if name != "__metadata__"}
            ends = [row["data_offsets"][1] for row in tensors.values()]
            kinds = {row["dtype"] for row in tensors.values()}
        except (ValueError, KeyError, AttributeError, TypeError, IndexError):
            raise BlobError(f"{path} has a broken safetensors header; write it again") from None
    if not tensors or max(ends) != size - 8 - length:
        raise BlobError(f"{path} is empty or cut off; write it again")
    if odd := sorted(kinds - _DTYPES):
        raise BlobError(f"{path} holds tensors of type {', '.join(odd)}; weights are floats")
