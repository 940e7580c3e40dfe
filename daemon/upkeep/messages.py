"""Telling people what they would want to know: the outbox, and what goes into it.

Owns the `notification` table. What is told follows from rows (a verdict, a move of the alias, a
proposal that waits), each under a key that is told once a channel; sending is tried again with
growing pauses, and parked after that. How a message travels is `daemon.upkeep.channels`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlmodel import Session, col, func, select

from daemon.clock import Clock
from daemon.operating import NotifySettings
from daemon.store.engine import Database
from daemon.store.rows import AliasEventRow, ChangeRow, EvaluationRow, NotificationRow
from daemon.store.states import ChangeState
from daemon.upkeep.channels import Channel, channels_of
from daemon.upkeep.degraded import Mode, Trouble

ATTEMPTS = 8
_FIRST_PAUSE_S = 30.0
_LONGEST_PAUSE_S = 3600.0
_LOOK_BACK = dt.timedelta(days=1)
"""Older events are history, not news."""
_SETTLE_S = 60.0
"""A trouble that passes sooner is not told."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to tell, once, under its key."""

    key: str
    kind: str
    subject: str
    body: dict[str, Any] = field(default_factory=dict)


class Messages:
    """The leader calls `round`; it costs a few small queries when there is nothing to tell."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: NotifySettings,
        channels: Sequence[Channel] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._channels = list(channels if channels is not None else channels_of(settings))

    async def round(self, troubles: Sequence[Trouble] = ()) -> int:
        """Put what is new into the outbox, and send what is due; the number sent."""
        if not self._channels:
            return 0
        news = await self._database.reading(lambda session: self._news(session))
        news += _of_troubles(troubles)
        wanted = [message for message in news if message.kind in self._settings.kinds]
        if wanted:
            await self._database.writing(lambda session: self._put(session, wanted))
        return await self._send()

    def _news(self, session: Session) -> list[Message]:
        now = self._clock.now()
        return [
            *_waiting(session, now, self._settings.waiting_h),
            *_verdicts(session, now),
            *_moves(session, now),
            *_retractions(session, now),
        ]

    def _put(self, session: Session, messages: Iterable[Message]) -> None:
        now = self._clock.now()
        for message in messages:
            for channel in self._channels:
                known = session.exec(
                    select(NotificationRow.id).where(
                        NotificationRow.key == message.key, NotificationRow.channel == channel.name
                    )
                ).first()
                if known is None:
                    session.add(
                        NotificationRow(
                            key=message.key,
                            channel=channel.name,
                            kind=message.kind,
                            subject=message.subject,
                            body=message.body,
                            created_at=now,
                        )
                    )

    async def _send(self) -> int:
        def due(session: Session) -> list[NotificationRow]:
            now = dt.datetime.now(dt.UTC)
            rows = session.exec(
                select(NotificationRow)
                .where(
                    col(NotificationRow.sent_at).is_(None), col(NotificationRow.parked).is_(False)
                )
                .order_by(col(NotificationRow.id))
                .limit(20)
            ).all()
            return [row for row in rows if row.not_before is None or row.not_before <= now]

        sent = 0
        by_name = {channel.name: channel for channel in self._channels}
        for row in await self._database.reading(due):
            channel = by_name.get(row.channel)
            if channel is None:
                continue  # a channel that is no longer set up
            why = None
            try:
                await channel.send(row.kind, row.subject, row.body, key=row.key)
            except Exception as error:  # whatever a foreign server does is a failed attempt
                why = f"{type(error).__name__}: {error}"
            await self._database.writing(lambda s, r=row, w=why: _tried(s, r.id or 0, w))
            sent += why is None
        return sent


def _tried(session: Session, id: int, why: str | None) -> None:
    row = session.get(NotificationRow, id)
    if row is None:
        return
    now = dt.datetime.now(dt.UTC)
    row.attempts += 1
    if why is None:
        row.sent_at, row.why = now, ""
    else:
        pause_s = min(_FIRST_PAUSE_S * 2 ** (row.attempts - 1), _LONGEST_PAUSE_S)
        row.not_before, row.why = now + dt.timedelta(seconds=pause_s), why[:500]
        row.parked = row.attempts >= ATTEMPTS
        log.warning("message.not_sent", channel=row.channel, attempts=row.attempts, reason=why)
    session.add(row)


def _waiting(session: Session, now: dt.datetime, waiting_h: float) -> list[Message]:
    before = now - dt.timedelta(hours=waiting_h)
    count, oldest = session.exec(
        select(func.count(), func.min(ChangeRow.updated_at)).where(
            ChangeRow.state == ChangeState.IN_REVIEW, ChangeRow.updated_at <= before
        )
    ).one()
    if not count:
        return []
    return [
        Message(
            key=f"waiting:{now:%Y-%m-%d}",
            kind="waiting",
            subject=f"{count} proposals have waited more than {waiting_h:g} hours for a reviewer",
            body={"waiting": count, "oldest": oldest.isoformat() if oldest else None},
        )
    ]


def _verdicts(session: Session, now: dt.datetime) -> list[Message]:
    rows = session.exec(
        select(EvaluationRow)
        .where(EvaluationRow.created_at > now - _LOOK_BACK)
        .order_by(col(EvaluationRow.id))
    ).all()
    return [
        Message(
            key=f"verdict:{row.id}",
            kind="verdict",
            subject=f"The gate said {row.verdict} to release {row.release_id}",
            body={
                "release": row.release_id,
                "adapter": row.adapter_digest,
                "verdict": row.verdict,
                "policy": row.policy,
            },
        )
        for row in rows
    ]


def _moves(session: Session, now: dt.datetime) -> list[Message]:
    rows = session.exec(
        select(AliasEventRow)
        .where(AliasEventRow.at > now - _LOOK_BACK)
        .order_by(col(AliasEventRow.generation))
    ).all()
    return [
        Message(
            key=f"move:{row.name}:{row.generation}",
            kind="promotion",
            subject=f"{row.name}: {row.action} to {(row.to_digest or 'the base model')[:12]}",
            body={
                "alias": row.name,
                "generation": row.generation,
                "action": row.action,
                "from": row.from_digest,
                "to": row.to_digest,
                "actor": row.actor,
                "reason": row.reason,
            },
        )
        for row in rows
    ]


def _retractions(session: Session, now: dt.datetime) -> list[Message]:
    rows = session.exec(
        select(ChangeRow)
        .where(col(ChangeRow.retracts).is_not(None), ChangeRow.created_at > now - _LOOK_BACK)
        .order_by(col(ChangeRow.id))
    ).all()
    return [
        Message(
            key=f"retraction:{row.id}",
            kind="retraction",
            subject=f"Wikidata took back change {row.retracts}, which was taught",
            body={"change": row.id, "retracts": row.retracts, "state": row.state},
        )
        for row in rows
    ]


def _of_troubles(troubles: Sequence[Trouble]) -> list[Message]:
    now = dt.datetime.now(dt.UTC)
    return [
        Message(
            key=f"trouble:{trouble.mode}:{trouble.since.isoformat(timespec='seconds')}",
            kind="watcher" if trouble.mode in (Mode.WATCHER, Mode.OFFLINE) else "trouble",
            subject=f"Almanac is degraded ({trouble.mode}): {trouble.reason}",
            body=dict(trouble.data()),
        )
        for trouble in troubles
        if trouble.mode is not Mode.PAUSED and (now - trouble.since).total_seconds() >= _SETTLE_S
    ]
