"""Versions that must not serve, offered to a running gateway in five ways.

Owns the damage, and whether each was refused with its reason while the old version served on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from daemon.bench.crashing import write_adapter
from daemon.bench.serving_home import Home, pass_, question_of
from daemon.bench.serving_load import body_of, health
from daemon.errors import BlobError
from daemon.registry.exporting import export, import_
from daemon.store.rows import AdapterRow, AliasRow


@dataclass(frozen=True, slots=True)
class Case:
    """How a version is made bad, and what its refusal must say."""

    name: str
    words: str
    offer: Callable[[Home, Path], str | None]
    """Puts it into the registry; its digest, or None when the registry refused it at the door."""


def refusals(home: Home, url: str, folder: Path, serving: str) -> dict[str, str]:
    """What went wrong, by case; empty when all were refused and `serving` answered throughout."""
    wrong: dict[str, str] = {}
    for case in CASES:
        problem = _try(case, home, url, folder / case.name.replace(" ", "-"), serving)
        if problem:
            wrong[case.name] = problem
    return wrong


def _try(case: Case, home: Home, url: str, folder: Path, serving: str) -> str | None:
    folder.mkdir(parents=True)
    try:
        digest = case.offer(home, folder)
    except BlobError as error:
        return None if case.words in str(error) else f"refused, but it said: {error}"
    if digest is None:
        return "the registry took it"
    before = home.registry.current()
    try:
        _point_at(home, digest)
        problem = _refused_by_gateway(url, digest, case.words)
    finally:
        _point_at(home, before[1])
    answer = _ask(url)
    still = answer.headers.get("X-Almanac-Version")
    text_ = answer.json()["choices"][0]["message"]["content"] if still else ""
    if still != serving or text_ != home.answers[serving][question_of("Norrin")]:
        return f"{serving} did not serve on: {still}"
    _wait_until_well(url)
    return problem


def _refused_by_gateway(url: str, digest: str, words: str) -> str | None:
    """Whether the gateway says that it refuses this very target, and why."""
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        found = health(url)
        problems = "; ".join(found.get("problems", []))
        if found.get("refused") and words in problems:
            if found["digest"] == digest:
                return "it serves what it refuses"
            return None if _ask(url).status_code == 200 else "it stopped answering"
        time.sleep(0.05)
    return f"not refused within 20 s: {health(url)}"


def _ask(url: str) -> httpx.Response:
    body = body_of(question_of("Norrin"))
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


def _wait_until_well(url: str) -> None:
    deadline = time.monotonic() + 20.0
    while health(url).get("status") != "ok" and time.monotonic() < deadline:
        time.sleep(0.05)


def _point_at(home: Home, digest: str | None) -> None:
    """Move the alias past every check, as somebody with the database in hand could."""
    with home.database.write() as session:
        row = session.get(AliasRow, "production")
        assert row is not None
        row.digest = digest
        session.add(row)


def _copy(home: Home, folder: Path, *, base_digest: str | None = None) -> str:
    """Another sound version: the first one's weights beside a file of its own."""
    source = home.registry.path_of(home.digests[0])
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "manifest.json").write_text(json.dumps({"made": folder.name}), encoding="utf-8")
    known = home.registry.manifest(home.digests[0])["base_digest"]
    version = home.registry.register(
        folder, base_model=str(home.base), manifest={"base_digest": base_digest or known}
    )
    assert version.digest is not None
    pass_(home.registry, home.database, version.digest)
    return version.digest


def _corrupted(home: Home, folder: Path) -> str:
    digest = _copy(home, folder)
    path = home.registry.path_of(digest) / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    return digest


def _other_base(home: Home, folder: Path) -> str:
    return _copy(home, folder, base_digest="f" * 64)


def _tampered(home: Home, folder: Path) -> str:
    digest = _copy(home, folder)
    with home.database.write() as session:
        row = session.get(AdapterRow, digest)
        assert row is not None
        row.statement = {**row.statement, "parent": "x"}
        session.add(row)
    return digest


def _tampered_export(home: Home, folder: Path) -> None:
    out = export(home.registry, home.digests[0], folder / "out")
    path = out / "almanac.json"
    path.write_text(path.read_text().replace('"release": 1', '"release": 2'))
    import_(home.registry, out)


def _pickle(home: Home, folder: Path) -> str:
    digest = _copy(home, folder)
    blob = home.registry.path_of(digest)
    blob.chmod(0o755)
    (blob / "extra.pkl").write_bytes(b"\x80\x04.")
    return digest


def _pickle_at_the_door(home: Home, folder: Path) -> None:
    source = home.registry.path_of(home.digests[0])
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "optimizer.pt").write_bytes(b"\x80\x04.")
    home.registry.register(folder, base_model=str(home.base))


def _odd_targets(home: Home, folder: Path) -> str:
    """Sound in itself, and of shapes that this base model does not have."""
    known = home.registry.manifest(home.digests[0])["base_digest"]
    version = home.registry.register(
        write_adapter(folder, 1), base_model=str(home.base), manifest={"base_digest": known}
    )
    assert version.digest is not None
    pass_(home.registry, home.database, version.digest)
    return version.digest


def _head_target(home: Home, folder: Path) -> None:
    config = json.loads((write_adapter(folder, 2) / "adapter_config.json").read_text())
    config["target_modules"] = ["q_proj", "lm_head"]
    (folder / "adapter_config.json").write_text(json.dumps(config))
    home.registry.register(folder, base_model=str(home.base))


CASES = (
    Case("corrupted blob", "were altered", _corrupted),
    Case("wrong base model", "trained on the base model", _other_base),
    Case("tampered manifest", "manifest", _tampered),
    Case("tampered export", "manifest", _tampered_export),
    Case("pickle in the folder", "were altered", _pickle),
    Case("pickle at the door", "can carry code", _pickle_at_the_door),
    Case("unexpected target modules", "made for another model", _odd_targets),
    Case("head as a target", "are not served", _head_target),
)
