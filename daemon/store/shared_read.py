"""One snapshot for many reads: what a request reads, it reads of one state and over one connection.

Owns the session that reads within `Database.sharing()` have in common: opened by the first of them,
given back when somebody writes (what is read afterwards must show it) and at the end. Without it a
page opens a session for each thing that it shows, and may show two states of the database at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlmodel import Session


class SharedRead:
    """Thread-safe: one thread at a time has the session, any other opens one of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._taken = threading.Lock()
        self._session: Session | None = None
        self._stale = self._over = False

    def is_of(self, engine: Engine) -> bool:
        return self._engine is engine

    @contextmanager
    def take(self) -> Iterator[Session | None]:
        """The session, to be read through; None when it is in use or the sharing is over."""
        if self._over or not self._taken.acquire(blocking=False):
            yield None
            return
        try:
            if self._session is None:
                self._session = Session(self._engine, expire_on_commit=False)
            yield self._session
        except BaseException:
            self._stale = True  # a failed statement leaves a transaction that answers no other
            raise
        finally:
            self._give_back()
            self._taken.release()

    def renew(self) -> None:
        """Read of the newest state from here on."""
        self._stale = True
        if self._taken.acquire(blocking=False):
            self._give_back()
            self._taken.release()

    def end(self) -> None:
        """Share no more: the connection goes back, and whoever reads now opens a session."""
        self._over = True
        self.renew()

    def _give_back(self) -> None:
        if self._stale and self._session is not None:
            self._session.close()
            self._session = None
        self._stale = False
