"""Digests of folders: which weights are these?

sha256 over the sorted lines `<path> <sha256 of the file>`, so that a copy on another machine has
the same identity. Loads no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from trainer.errors import BadAdapter, BadBase

_BASE_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "model.safetensors.index.json",
)


def file_digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def files_digest(root: Path, files: Iterable[Path]) -> str:
    """sha256 (hex) over the sorted (path relative to `root`, sha256) of the files."""
    lines = sorted(f"{f.relative_to(root).as_posix()} {file_digest(f)}\n" for f in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def base_digest(path: Path) -> str:
    """Digest of a base model's weights, tokenizer and config. Raises BadBase."""
    if not path.is_dir():
        raise BadBase(f"{path} is no folder: give the folder of a transformers model")
    weights = sorted(path.glob("*.safetensors"))
    if not weights or not (path / "config.json").is_file():
        raise BadBase(f"{path} has no config.json with *.safetensors beside it: not a model folder")
    named = [path / name for name in _BASE_FILES if (path / name).is_file()]
    return files_digest(path, [*weights, *named])


def adapter_digest(path: Path) -> str:
    """Digest of all files of an adapter's folder. Raises BadAdapter."""
    if not (path / "adapter_config.json").is_file():
        raise BadAdapter(f"{path} has no adapter_config.json: not an adapter folder")
    return files_digest(path, (f for f in path.rglob("*") if f.is_file()))


def resolve_base(base: str | Path) -> Path:
    """The folder of a base model: a path as it is, a hub name through the local hub cache.

    Raises BadBase when the name is neither a folder nor a model that can be fetched.
    """
    path = Path(base)
    if path.is_dir():
        return path
    if str(base).count("/") != 1 or str(base).startswith((".", "/", "~")):
        raise BadBase(f"{base} is no folder: give a model's folder or its hub name")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(base)))
    except Exception as error:
        raise BadBase(f"model {base} is no folder and cannot be fetched: {error}") from error
