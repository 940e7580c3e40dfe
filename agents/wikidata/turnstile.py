"""How much of one editor's work, or of one bulk run's, goes on in a day; the rest waits its turn.

Owns the caps and the order of a bulk run: its sample first, the rest with the sample's outcome.
Pure over what the ledger tells (`agents.ledger.Traffic`); counts what passes within a look.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from agents.ledger import RunStanding, RunState, Traffic

WINDOW = dt.timedelta(days=1)
_LOOK_AGAIN = dt.timedelta(days=7)
"""A held change of a run is made due by the run's outcome; this is only so that none is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Changes that may settle within a day; `sample` is how many of a run are drawn."""

    editor_per_day: int = 50
    run_per_day: int = 100
    sample: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why a change that has stood long enough does not go on yet, and until when."""

    reason: str
    until: dt.datetime


class Turnstile:
    """Asked once for each change that would settle, in the order of the looks."""

    def __init__(self, traffic: Traffic, caps: Caps) -> None:
        self._editors = {k: list(v) for k, v in traffic.editors.items()}
        self._runs = {k: list(v) for k, v in traffic.runs.items()}
        self._standings = traffic.standings
        self._caps = caps

    def standing(self, run: str) -> RunStanding:
        return self._standings.get(run, RunStanding())

    def enter(self, key: str, editor: str, run: str, now: dt.datetime) -> Held | None:
        """None lets the change pass, and counts it."""
        if run and (held := self._run(key, run, now)):
            return held
        # A run is held by its own cap; an editor's is for what he does by hand.
        name, log, most = (
            (run, self._runs, self._caps.run_per_day)
            if run
            else (editor, self._editors, self._caps.editor_per_day)
        )
        if not name:
            return None
        recent = sorted(t for t in log.get(name, ()) if t > now - WINDOW)
        if len(recent) >= most:
            until = recent[-most] + WINDOW
            whose = f"of the run {run}" if run else f"by {editor}"
            reason = f"held: {len(recent)} changes {whose} have settled within a day"
            return Held(reason=f"{reason}; waits until {until:%Y-%m-%d %H:%M} UTC", until=until)
        log.setdefault(name, []).append(now)
        return None

    def _run(self, key: str, run: str, now: dt.datetime) -> Held | None:
        standing = self.standing(run)
        if standing.state is RunState.RELEASED or key in standing.sample:
            return None
        reason = (
            f"held: part of the bulk run {run}; {self._caps.sample} of its changes go to the "
            "reviewers first"
        )
        return Held(reason=reason, until=now + _LOOK_AGAIN)
