"""Versions as folders that others can use: out with a card and a signature, in after checking it.

Owns the exported folder: the adapter's own files as PEFT and vLLM read them, `README.md`, and
`almanac.json` (statement, signature, public key). Nothing in it can carry code.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from daemon.errors import BlobError, Conflict
from daemon.registry.adapters import hashes
from daemon.registry.card import model_card
from daemon.registry.keys import Keys
from daemon.registry.provenance import Provenance
from daemon.registry.service import Registry
from daemon.registry.statements import canonical
from daemon.registry.versions import Version
from knowledge import codec

ENVELOPE = "almanac.json"
CARD = "README.md"
FORMAT = "almanac-export/1"


def export(registry: Registry, digest: str, target: Path) -> Path:
    """Write the version into the new folder `target`, whole or not at all. Raises NotFound,
    BlobError for a damaged version, Conflict when the folder is there already."""
    if target.exists():
        raise Conflict(f"{target} is there already; name a new folder")
    source = registry.verify(digest)
    found = registry.provenance(digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    part.mkdir()
    try:
        for path in source.iterdir():
            shutil.copyfile(path, part / path.name)
        (part / CARD).write_text(model_card(found), encoding="utf-8")
        _seal(part, found, registry.keys)
        os.rename(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def import_(registry: Registry, folder: Path) -> Version:
    """Take an exported version into this registry, under the next number.

    Raises BlobError for a folder without a signature of a trusted key, with altered, added or
    missing files, or with an adapter that is not acceptable.
    """
    statement = check_export(registry.keys, folder)
    version = registry.register(
        folder,
        base_model=str(statement["base_model"]),
        parent=statement["parent"],
        origin={
            "signed_by": statement["signed_by"],
            "version": statement["version"],
            "export": statement["digest"],
        },
    )
    if version.digest != statement["digest"]:
        raise BlobError(f"{folder} hashes to another adapter than its manifest names")
    return version


def check_export(keys: Keys, folder: Path) -> dict[str, Any]:
    """The statement of an exported folder, with `signed_by`, the name of the trusted key. Raises
    BlobError."""
    path = folder / ENVELOPE
    try:
        envelope = json.loads(path.read_text(encoding="utf-8"))
        statement, signature = envelope["statement"], envelope["signature"]
        files, public = dict(statement["files"]), envelope["key"]
        known = statement["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BlobError(
            f"{folder} has no {ENVELOPE} that can be read; only what `almanac registry export` "
            "wrote can be imported"
        ) from None
    if not known:
        raise BlobError(f"{path} is of another format than {FORMAT}; export it again")
    signer = keys.verified_by(canonical(statement), str(signature))
    if signer is None:
        raise BlobError(
            f"the manifest of {folder} was altered, or its key is not trusted here; if you know "
            f"whose it is: almanac registry trust NAME {public}"
        )
    present = [p for p in folder.rglob("*") if not p.is_dir() and p != path]
    if any(p.is_symlink() for p in present):
        raise BlobError(f"{folder} holds links; export it again")
    found = hashes(present, folder)
    odd = sorted(name for name in files.keys() | found.keys() if files.get(name) != found.get(name))
    if odd:
        raise BlobError(f"{folder}: {', '.join(odd)} is not what the signed manifest says")
    return {**statement, "signed_by": signer}


def _seal(folder: Path, found: Provenance, keys: Keys) -> None:
    statement = {
        **found.statement,
        "format": FORMAT,
        "files": hashes(list(folder.iterdir()), folder),
        "batch": found.batch_digest,
        "edits": {edit.unit: edit.digest for edit in found.edits},
        "evaluation": codec.to_data(found.evaluation) if found.evaluation else None,
    }
    envelope = {
        "statement": statement,
        "key": keys.public(),
        "signature": keys.sign(canonical(statement)),
    }
    text = json.dumps(envelope, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / ENVELOPE).write_text(text, encoding="utf-8")
