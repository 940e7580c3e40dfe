"""A PostgreSQL server of a bench's own, which it may restart and crash as it likes.

Owns the server's life and its databases. Needs the package `pgserver`.
"""

from __future__ import annotations

import logging
import subprocess
import warnings
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql


class PostgresServer:
    """One server in a folder. Use as a context."""

    def __init__(self, folder: Path) -> None:
        logging.getLogger("pgserver").setLevel(logging.CRITICAL)  # it tells every command
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on the machine's runtime folder
            import pgserver

            self._server: Any = pgserver.get_server(folder, cleanup_mode="stop")  # pyright: ignore[reportPrivateImportUsage]

    def __enter__(self) -> PostgresServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()

    def fresh(self, name: str) -> str:
        """The URL of a new, empty database."""
        with psycopg.connect(self._server.get_uri(database="postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return str(self._server.get_uri(database=name))

    def restart(self, *, crash: bool) -> None:
        """Stop it, in order or as a crash (connections are cut in both), and start it again."""
        from pgserver._commands import pg_ctl  # pyright: ignore[reportAttributeAccessIssue]

        mode = "immediate" if crash else "fast"
        pg_ctl(
            ["-w", "-m", mode, "stop"], pgdata=self._server.pgdata, user=self._server.system_user
        )
        for last in (False, False, True):
            try:
                self._server.ensure_postgres_running()
                return
            except subprocess.TimeoutExpired:  # after a crash it recovers first, for over 10 s
                if last:
                    raise
