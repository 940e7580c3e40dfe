"""Answers already given to a request with an idempotency key, so that a retry acts once.

Owns the `reply` table. A key is its owner's alone, stands for one request, and is kept for a day.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, delete, select

from daemon.errors import Conflict
from daemon.store.engine import Database
from daemon.store.rows import ReplyRow

KEPT_H = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Status and JSON body of the first answer."""

    status: int
    body: Any


class Replies:
    """Blocking calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, owner: str, key: str, request: str) -> Reply | None:
        """What was answered; None for a new key. Raises Conflict when the key stood for another
        request."""
        with self._database.read() as session:
            row = session.exec(
                select(ReplyRow).where(
                    ReplyRow.owner == owner,
                    ReplyRow.key == key,
                    col(ReplyRow.at) > _now() - dt.timedelta(hours=KEPT_H),
                )
            ).first()
        if row is None:
            return None
        if row.request != request:
            raise Conflict("this idempotency key was used for another request; take a new one")
        return Reply(status=row.status, body=row.body)

    def put(self, owner: str, key: str, request: str, reply: Reply) -> None:
        """Keep the first answer to a key, and forget those that are a day old."""
        now = _now()
        with self._database.write() as session:
            session.exec(
                delete(ReplyRow).where(col(ReplyRow.at) <= now - dt.timedelta(hours=KEPT_H))
            )
            if session.get(ReplyRow, (owner, key)) is None:
                session.add(
                    ReplyRow(
                        owner=owner,
                        key=key,
                        request=request,
                        status=reply.status,
                        body=reply.body,
                        at=now,
                    )
                )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
