"""What model calls have cost today, for status, metrics and the degraded mode.

Owns the reading only: the table and the counting are `daemon.store.spending`'s, the limits are
`curate.calls_per_day` and `curate.usd_per_day`, which the chats hold to themselves.
"""

from __future__ import annotations

from sqlmodel import col, func, select

from daemon.clock import Clock
from daemon.store.engine import Database
from daemon.store.rows import SpendRow


class Spending:
    """Blocking calls."""

    def __init__(
        self, database: Database, clock: Clock, *, calls: int | None, usd: float | None
    ) -> None:
        self._database = database
        self._clock = clock
        self._calls = calls
        self._usd = usd

    def today(self) -> dict[str, float]:
        """Calls, tokens and dollars of this day."""
        day = self._clock.now().date().isoformat()
        with self._database.read() as session:
            calls, tokens_in, tokens_out, usd = session.exec(
                select(
                    func.sum(SpendRow.calls),
                    func.sum(SpendRow.tokens_in),
                    func.sum(SpendRow.tokens_out),
                    func.sum(SpendRow.cost_usd),
                ).where(col(SpendRow.day) == day)
            ).one()
        return {
            "calls": float(calls or 0),
            "tokens": float((tokens_in or 0) + (tokens_out or 0)),
            "usd": float(usd or 0.0),
        }

    def exhausted(self) -> str | None:
        """Why no model is asked any more today; None while there is budget, or no limit."""
        if self._calls is None and self._usd is None:
            return None
        spent = self.today()
        if self._calls is not None and spent["calls"] >= self._calls:
            return f"{spent['calls']:.0f} calls today, of {self._calls}"
        if self._usd is not None and spent["usd"] >= self._usd:
            return f"{spent['usd']:.2f} dollars today, of {self._usd:.2f}"
        return None
