"""Content-addressed folders of adapter files: a blob is whole or absent.

Owns `blobs/`: files are written to `tmp/`, flushed to the disk, made read-only, renamed into
`sha256/ab/DIGEST`, and the folder's entry is flushed too. Knows no database: a row is inserted
after `add` returns, so a row without its blob cannot be.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import BlobError
from daemon.registry.adapters import digest_of_files, files_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A stored adapter: its digest, where it lies, and how large it is."""

    digest: str
    path: Path
    size_bytes: int


class Blobs:
    """The blob store below `root`. Safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tmp = root / "tmp"
        self._store = root / "sha256"

    def add(self, folder: Path) -> Blob:
        """Take a copy of the adapter in `folder`. Harmless when it is there already.

        Raises BlobError when the folder is no acceptable adapter.
        """
        sources = files_of(folder)
        self._tmp.mkdir(parents=True, exist_ok=True)
        scratch = self._tmp / uuid.uuid4().hex
        scratch.mkdir()
        try:
            for source in sources:
                _copy_durably(source, scratch / source.name)
            files = files_of(scratch)  # named by what was copied
            digest = digest_of_files(files, scratch)
            size = sum(path.stat().st_size for path in files)
            _flush_folder(scratch)
            self._publish(scratch, self.path(digest))
        finally:
            _remove(scratch)
        return Blob(digest=digest, path=self.path(digest), size_bytes=size)

    def path(self, digest: str) -> Path:
        """Where the blob of this digest lies, or would lie."""
        if len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):
            raise BlobError(f"{digest!r} is no sha256 in hex")
        return self._store / digest[:2] / digest

    def verify(self, digest: str) -> Path:
        """Hash the files again. Raises BlobError when they are missing or altered."""
        path = self.path(digest)
        if not path.is_dir():
            raise BlobError(f"the files of adapter {digest[:12]} are missing from {path.parent}")
        try:
            found = digest_of_files([p for p in path.rglob("*") if p.is_file()], path)
        except OSError as error:
            raise BlobError(f"the files of adapter {digest[:12]} cannot be read: {error}") from None
        if found != digest:
            raise BlobError(
                f"the files of adapter {digest[:12]} were altered (they hash to {found[:12]}); "
                "restore them from a backup, or roll back to another version"
            )
        return path

    def remove(self, digest: str) -> int:
        """Take the files away, by one rename; the bytes freed. Harmless when they are gone."""
        path = self.path(digest)
        if not path.is_dir():
            return 0
        size = sum(file.stat().st_size for file in path.iterdir())
        self._tmp.mkdir(parents=True, exist_ok=True)
        grave = self._tmp / uuid.uuid4().hex
        os.replace(path, grave)
        _flush_folder(path.parent)
        _remove(grave)
        return size

    def age_s(self, digest: str) -> float:
        """Seconds since the blob was stored."""
        return time.time() - self.path(digest).stat().st_mtime

    def digests(self) -> list[str]:
        """Every stored digest, sorted."""
        return sorted(path.name for path in self._store.glob("??/*") if path.is_dir())

    def sweep(self, older_than_s: float) -> int:
        """Remove what killed writers left in `tmp/`; the number of folders removed."""
        removed = 0
        for path in self._tmp.glob("*"):
            if time.time() - path.stat().st_mtime > older_than_s:
                _remove(path)
                removed += 1
        return removed

    def _publish(self, scratch: Path, target: Path) -> None:
        if target.is_dir():
            try:
                self.verify(target.name)
                return
            except BlobError:
                # A damaged blob gives way to sound files of the same content.
                os.replace(target, self._tmp / uuid.uuid4().hex)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(scratch, target)
        except OSError:
            if not target.is_dir():
                raise
            return  # another process was first with the same content
        _flush_folder(target.parent)
        _flush_folder(self._store)


def _copy_durably(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
    target.chmod(0o444)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
