"""Answers of paid models, and what each day's cost. Implements the port of `agents.drafting`.

Owns the `spend` table and the rows of `answer` that curating writes. A day is one of UTC, by the
daemon's clock.
"""

from __future__ import annotations

from sqlmodel import Session, select

from agents.drafting.answers import Reply, Spent
from daemon.clock import Clock
from daemon.store.engine import Database
from daemon.store.rows import AnswerRow, SpendRow
from knowledge import codec


class SqlAnswerLedger:
    """An answer and its price are one transaction: what is kept is counted, once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def recall(self, model: str, request: str) -> Reply | None:
        def work(session: Session) -> Reply | None:
            row = session.get(AnswerRow, (model, request))
            return codec.from_data(Reply, row.response) if row else None

        return await self._database.reading(work)

    async def keep(self, model: str, request: str, reply: Reply) -> None:
        now = self._clock.now()

        def work(session: Session) -> None:
            if session.get(AnswerRow, (model, request)) is not None:
                return
            response = codec.to_data(reply)
            session.add(AnswerRow(model=model, request=request, response=response, at=now))
            day = now.date().isoformat()
            row = session.get(SpendRow, (day, model)) or SpendRow(day=day, model=model)
            row.calls += 1
            row.tokens_in += reply.tokens_in
            row.tokens_out += reply.tokens_out
            row.cost_usd += reply.cost_usd
            session.add(row)

        await self._database.writing(work)

    async def spent_today(self) -> Spent:
        day = self._clock.now().date().isoformat()

        def work(session: Session) -> Spent:
            rows = session.exec(select(SpendRow).where(SpendRow.day == day)).all()
            return Spent(
                calls=sum(row.calls for row in rows),
                tokens_in=sum(row.tokens_in for row in rows),
                tokens_out=sum(row.tokens_out for row in rows),
                cost_usd=sum(row.cost_usd for row in rows),
            )

        return await self._database.reading(work)
