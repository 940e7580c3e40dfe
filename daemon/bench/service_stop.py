"""Stops in every stage, as systemd stops: how long each takes, and that nothing is lost by them.

Owns what counts as being in a stage, and the rows. The play that is stopped, and what it must leave
at its end, are `service_play`'s.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from daemon.bench.rows import Op, Row
from daemon.bench.service_home import ServiceHome
from daemon.bench.service_play import Play, staged, through, undisturbed
from daemon.store.states import ChangeState, ReleaseState

STOP_LIMIT_S = 15.0
STAGES = ("poll", "curate", "training", "evaluation", "promotion")


def stop_rows(quick: bool) -> list[Row]:
    """One play, stopped once in every stage that was met (quick: only in the first two)."""
    stages = STAGES[:2] if quick else STAGES
    with (
        tempfile.TemporaryDirectory(prefix="almanac-stop-") as folder,
        staged(Path(folder), whole=not quick) as (home, play),
    ):
        stops = Stops(home, play, stages)
        through(home, play, stops)
        stops.took_s["idle"] = home.stop()
        lost = play.outcome().differences(undisturbed(not quick))
    rows = [_row(stage, stops.took_s.get(stage)) for stage in (*stages, "idle")]
    rows.append(
        Row(
            what="stops in every stage, differences from the undisturbed run",
            value=lost,
            unit="",
            bar=0,
            op=Op.EQUAL,
            detail=f"{len(stops.took_s)} stops; {'; '.join(stops.falls)}".rstrip("; "),
        )
    )
    return rows


def _row(stage: str, took_s: float | None) -> Row:
    told = "" if took_s is not None else "the play was never seen in this stage"
    value = None if took_s is None else round(took_s, 2)
    what = f"stop during {stage}"
    return Row(what=what, value=value, unit="s", bar=STOP_LIMIT_S, op=Op.AT_MOST, detail=told)


class Stops:
    """A storm that stops the service in each stage once, and starts it again."""

    left = 0  # a stage that never comes is a skipped row, and no reason to wait for ever

    def __init__(self, home: ServiceHome, play: Play, stages: tuple[str, ...]) -> None:
        self._home, self._play = home, play
        self._waiting = list(stages)
        self.took_s: dict[str, float] = {}
        self.falls: list[str] = []

    def strike(self, progress: float) -> bool:
        """Stop if the service is in a stage in which it was not stopped yet."""
        for stage in self._waiting:
            if self._is_in(stage):
                self._waiting.remove(stage)
                self.took_s[stage] = self._home.stop()
                self._home.start()
                return True
        return False

    def fell(self) -> None:
        self.falls.append(self._home.last_words())

    def _is_in(self, stage: str) -> bool:
        services = self._play.services
        if stage == "poll":
            lag = services.watch.lag()
            return 0 < lag.dirty < lag.watched and self._home.logged("service.started") > 0
        if stage == "curate":
            counts = services.review.counts()
            return bool(counts.get(ChangeState.SETTLED) or counts.get(ChangeState.DRAFTING))
        standing = services.releases.standing()
        if standing is None:
            return False
        if stage == "promotion":
            return standing.state is ReleaseState.PASSED
        job, state = {
            "training": ("train", ReleaseState.TRAINING),
            "evaluation": ("evaluate", ReleaseState.EVALUATING),
        }[stage]
        return standing.state is state and job in self._home.children().values()
