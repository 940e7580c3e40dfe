"""The demo's folder: held by one demo at a time, and emptied only when it is a demo's.

Owns the lock, the clearing, and that only the folder's own settings count; what lies in the folder
belongs to the modules that write it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.config import ENV_PREFIX
from daemon.demo.children import Children
from daemon.demo.errors import DemoError
from daemon.demo.options import REQUEST_FILE, DemoOptions


@contextmanager
def held(options: DemoOptions) -> Iterator[None]:
    """Hold the demo's folder: one demo at a time, nothing left over from a killed one."""
    home = options.home
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(
            f"{home} cannot be the demo's folder: {error.strerror}; name another --home"
        ) from None
    with (home.parent / f".{home.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                f"another demo runs in {home}; end it, or name another --home"
            ) from None
        Children(home).sweep()
        if options.fresh:
            clear(home)
        yield


@contextmanager
def own_settings() -> Iterator[None]:
    """Without the user's `ALMANAC_*` variables, here and in every process that is started inside:
    they are meant for the user's own Almanac, whose database the demo must never touch."""
    theirs = {name: os.environ[name] for name in os.environ if name.upper().startswith(ENV_PREFIX)}
    for name in theirs:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(theirs)


def clear(home: Path) -> None:
    """Empty the folder of an earlier demo. Raises DemoError for a folder that is something else."""
    content = sorted(home.iterdir(), key=lambda path: path.name == REQUEST_FILE)  # it goes last
    if content and not (home / REQUEST_FILE).exists():
        raise DemoError(
            f"{home} is not a demo's folder and will not be emptied; name another --home"
        )
    for path in content:
        if path.is_dir():
            for inner in [path, *path.rglob("*")]:
                if inner.is_dir() and not inner.is_symlink():
                    inner.chmod(0o755)  # the registry's blobs are read-only
            shutil.rmtree(path)
        else:
            path.unlink()
