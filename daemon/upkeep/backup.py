"""Backups: one consistent copy of rows and adapters, proved before it is called one, and restored.

Owns the folder's form: `rows/` (a snapshot of every table), `blobs/` (hard links where the disk
allows), `keys/` (without which nobody could tell whose adapters these are; a backup is as secret as
they), `manifest.json` with the hash of each file. A folder without `.part` is whole. Restoring goes
into an empty database and proves what came out; `verify` does that in a scratch database.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from daemon.errors import BlobError, Conflict, NotFound
from daemon.registry.adapters import hash_file
from daemon.registry.blobs import Blobs
from daemon.registry.keys import OWN, PRIVATE, Keys
from daemon.registry.service import Registry
from daemon.store import dump
from daemon.store.engine import Database

MANIFEST, ROWS, BLOBS, KEYS = "manifest.json", "rows", "blobs", "keys"
_PREFIX, _PART = "almanac-", ".part"
_FORMAT = 1
_ATTEMPTS = 3

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One whole backup."""

    folder: Path
    at: dt.datetime
    schema: str
    rows: int
    adapters: int


class Backups:
    """The backups of one home. Blocking calls."""

    def __init__(self, database: Database, blobs: Path, folder: Path, *, keep: int) -> None:
        self._database = database
        self._blobs = blobs
        self._folder = folder
        self._keep = keep

    def create(self, *, into: Path | None = None, label: str = "") -> Backup:
        """A new backup below the folder (or `into`); older ones than `keep` go.

        Rows first, adapters after: an adapter is stored before its row, so each row has its files.
        One that was collected in between is missing; then all is taken anew. Raises BlobError when
        the registry itself has lost one: `restore` would refuse such a backup.
        """
        root = into or self._folder
        root.mkdir(parents=True, exist_ok=True)
        now = dt.datetime.now(dt.UTC)
        name = f"{_PREFIX}{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z{label}"
        part = root / f"{name}{_PART}"
        try:
            schema, counts, adapters = self._take(part)
            _copy_keys(self._blobs.parent / KEYS, part / KEYS)
            manifest = {
                "format": _FORMAT,
                "at": now.isoformat(timespec="seconds"),
                "schema": schema,
                "rows": counts,
                "adapters": adapters,
                "files": _hashes(part),
            }
            _write(part / MANIFEST, json.dumps(manifest, indent=1))
            for path in [*part.rglob("*"), part]:
                if (
                    path.is_dir() or path.stat().st_nlink == 1
                ):  # a link's file was flushed as a blob
                    _flush(path)
            os.replace(part, root / name)
            _flush(root)
        except BaseException:
            remove(part)
            raise
        if not label:
            self._forget_old()
        log.info("backup.made", folder=str(root / name), rows=sum(counts.values()))
        return read(root / name)

    def _take(self, part: Path) -> tuple[str | None, dict[str, int], int]:
        """Rows and adapters that belong together: (schema, rows by table, adapters)."""
        missing: list[str] = []
        for attempt in range(1, _ATTEMPTS + 1):
            (part / ROWS).mkdir(parents=True)
            with self._database.snapshot(unhurried=True) as connection:
                schema = self._database.schema_of(connection)
                counts = dump.dump(connection, part / ROWS)
            try:
                adapters = _copy_blobs(self._blobs, part / BLOBS)
            except (FileNotFoundError, shutil.Error):
                if attempt == _ATTEMPTS:
                    raise
                adapters = 0
            missing = _missing(part)
            if not missing:
                return schema, counts, adapters
            log.info("backup.taken_anew", missing=missing)
            remove(part)
        raise BlobError(
            f"the files of adapter {missing[0][:12]} are not in {self._blobs}; `almanac doctor` "
            "says what can be done, and until then no backup would restore"
        )

    def list(self) -> list[Backup]:
        """Whole backups, oldest first."""
        found = [p for p in self._folder.glob(f"{_PREFIX}*") if (p / MANIFEST).is_file()]
        return [read(path) for path in sorted(found) if not path.name.endswith(_PART)]

    def newest_age_s(self) -> float | None:
        """Seconds since the newest backup was made; None when there is none."""
        times = [p.stat().st_mtime for p in self._folder.glob(f"{_PREFIX}*/{MANIFEST}")]
        return time.time() - max(times) if times else None

    def _forget_old(self) -> None:
        regular = [b for b in self.list() if b.folder.name.endswith("Z")]
        for backup in regular[: -self._keep]:
            remove(backup.folder)
        for part in self._folder.glob(f"{_PREFIX}*{_PART}"):
            if time.time() - part.stat().st_mtime > 3600:
                remove(part)  # of a process that was killed


def read(folder: Path) -> Backup:
    """What a backup says of itself. Raises NotFound, BlobError."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Backup(
            folder=folder,
            at=dt.datetime.fromisoformat(data["at"]),
            schema=data["schema"],
            rows=sum(data["rows"].values()),
            adapters=int(data["adapters"]),
        )
    except FileNotFoundError:
        raise NotFound(
            f"{folder} is no backup: it has no {MANIFEST}; `almanac backup` makes one"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise BlobError(f"{folder / MANIFEST} cannot be read: {error}") from None


def verify(folder: Path) -> Backup:
    """Prove a backup: every file is what the manifest says, and it restores into a scratch
    database and registry that are whole. Raises BlobError."""
    with tempfile.TemporaryDirectory(prefix="almanac-verify-") as scratch:
        database = Database.open(f"sqlite:///{scratch}/almanac.db")
        try:
            return restore(folder, database, Path(scratch) / "blobs")
        finally:
            database.close()
            _make_writable(Path(scratch))


def restore(folder: Path, database: Database, blobs: Path) -> Backup:
    """Fill an empty database and blob store. Raises Conflict when they are not empty, BlobError for
    a backup that is not whole or of another schema."""
    backup = read(folder)
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    _check_files(folder, manifest["files"])
    schema = database.schema()
    if schema != backup.schema:
        raise BlobError(
            f"the backup is of schema {backup.schema}, this Almanac's is {schema}; restore with "
            "the version that wrote it, then upgrade"
        )
    if any(blobs.glob("sha256/??/*")):
        raise Conflict(f"{blobs} holds adapters already; restore into an empty home")
    _copy_blobs(folder / BLOBS, blobs)
    _copy_keys(folder / KEYS, blobs.parent / KEYS)
    with database.connection() as connection:
        if any(n for t, n in dump.counts_of(connection).items() if t != dump.VERSION_TABLE):
            raise Conflict("the database is not empty; restore into an empty one")
        counts = dump.load(connection, folder / ROWS)
    wanted = {t: n for t, n in manifest["rows"].items() if t != dump.VERSION_TABLE}
    if counts != wanted:
        raise BlobError(f"other rows came out than went in: {counts} for {wanted}")
    _check_registry(database, blobs)
    return backup


def _check_registry(database: Database, blobs: Path) -> None:
    from daemon.clock import SystemClock

    registry = Registry(database, Blobs(blobs), SystemClock())
    for version in registry.versions():
        if version.digest and version.purged_at is None:
            registry.verify(version.digest)
    broken = registry.broken_at()
    if broken is not None:
        raise BlobError(f"the history in the backup is not whole: generation {broken}")


def _check_files(folder: Path, files: dict[str, str]) -> None:
    found = _hashes(folder)
    found.pop(MANIFEST, None)
    for name, digest in files.items():
        if found.get(name) != digest:
            what = "is missing" if name not in found else "was altered"
            raise BlobError(f"{folder / name} {what}; take another backup")


def _copy_blobs(source: Path, target: Path) -> int:
    """Hard links where both are on one file system, copies elsewhere; the number of adapters."""
    number = 0
    (target / "sha256").mkdir(parents=True, exist_ok=True)
    for blob in sorted(source.glob("sha256/??/*")):
        to = target / "sha256" / blob.parent.name / blob.name
        if to.exists():
            continue
        shutil.copytree(blob, to, copy_function=_link)
        number += 1
    return number


def _missing(part: Path) -> list[str]:
    """Digests that the rows say are there, and whose files were not copied."""
    return [
        row["digest"]
        for row in dump.rows_of(part / ROWS, "adapter")
        if row.get("purged_at") is None
        and not (part / BLOBS / "sha256" / row["digest"][:2] / row["digest"]).is_dir()
    ]


def _copy_keys(source: Path, target: Path) -> None:
    """What is not there yet; where another own key is, the copied one is trusted beside it."""
    if not source.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (target / PRIVATE).exists() and (source / OWN).exists():
        Keys(target).trust("restored", (source / OWN).read_text(encoding="ascii"))
    for path in sorted(source.iterdir()):
        if path.is_file() and not (target / path.name).exists():
            shutil.copy2(path, target / path.name)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hash_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    _make_writable(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _make_writable(folder: Path) -> None:
    """Folders only: files may be hard links of the registry's own, which stay read-only."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
