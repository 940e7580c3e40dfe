"""Chaos: the service and its children are killed at random, and must end where it would have ended.

Owns the strikes and the comparison with a play that nobody disturbed. A whole run is many plays;
each is written down when it is over, so a run can be done in pieces. `KILLS` is the number of
SIGKILLs on each database, `PLAYS` how many plays to add now at most, `BACKENDS` which databases,
`SEED` names the draws.
"""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

from daemon.bench.postgres_server import PostgresServer
from daemon.bench.rows import FOLDER, Op, Row
from daemon.bench.service_home import ServiceHome
from daemon.bench.service_play import Outcome, Play, staged, through, undisturbed
from daemon.registry import Blobs
from daemon.upkeep import leavings

KILLS, RESTARTS = 300, 20
BACKENDS = ("sqlite", "postgresql")
STATE = FOLDER / "service-chaos"
_KILLS_A_PLAY, _RESTARTS_A_PLAY = 30, 2
_QUICK_KILLS, _QUICK_RESTARTS = 8, 1
_LONGEST_S = 6.0
"""A process is struck at the latest so long after the strike before."""


@dataclass(slots=True, kw_only=True)
class Damage:
    """What the strikes of one play did. All but the first three should be empty."""

    kills: dict[str, int] = field(default_factory=dict)
    """By process, and the stage of the release at that moment."""
    restarts: int = 0
    """Of the database server."""
    took_s: float = 0.0
    differences: int = 0
    double_promotions: int = 0
    lost_approvals: int = 0
    unfound_blobs: int = 0
    falls: list[str] = field(default_factory=list)
    """Last words of services that ended by themselves."""

    @property
    def struck(self) -> int:
        return sum(self.kills.values())


def chaos_rows(quick: bool) -> list[Row]:
    """Play until enough kills have struck on both databases; earlier pieces of a full run count."""
    rows: list[Row] = []
    for backend in (os.environ.get("BACKENDS") or ",".join(BACKENDS)).split(","):
        wanted = int(os.environ.get("KILLS") or (_QUICK_KILLS if quick else KILLS))
        if quick:
            damages = [disturbed(backend, "quick", wanted, _QUICK_RESTARTS, whole=False)]
        else:
            damages = list(_pieces(backend, wanted))
        rows += _rows(backend, damages)
    return rows


def disturbed(backend: str, seed: str, kills: int, restarts: int, *, whole: bool = True) -> Damage:
    """One play with so many strikes, compared with one without any."""
    rng = random.Random(f"chaos:{backend}:{seed}")
    expected = undisturbed(whole)
    with tempfile.TemporaryDirectory(prefix="almanac-chaos-") as scratch:
        return _disturbed(Path(scratch), backend, rng, kills, restarts, expected, whole=whole)


def _pieces(backend: str, wanted: int) -> Iterator[Damage]:
    """The plays of a full run: those written down, then new ones, as many as asked for."""
    STATE.mkdir(parents=True, exist_ok=True)
    struck, number, left = 0, 0, int(os.environ.get("PLAYS") or 10**6)
    while struck < wanted:
        path = STATE / f"{backend}-{number:03}.json"
        if path.is_file():
            data = json.loads(path.read_text("utf-8"))
            damage = Damage(**data)
        elif left:
            seed = f"{os.environ.get('SEED') or 'full'}:{number}"
            damage = disturbed(backend, seed, _KILLS_A_PLAY, _RESTARTS_A_PLAY)
            path.write_text(json.dumps(asdict(damage), indent=1), "utf-8")
            left -= 1
        else:
            return
        yield damage
        struck += damage.struck
        number += 1


def _rows(backend: str, damages: list[Damage]) -> list[Row]:
    kills: Counter[str] = sum((Counter(d.kills) for d in damages), Counter())
    restarts = sum(d.restarts for d in damages)
    where = ", ".join(f"{n} {what}" for what, n in sorted(kills.items()))
    falls = [fall for d in damages for fall in d.falls]
    plays = f"{len(damages)} plays"

    def row(what: str, value: int, bar: int, op: Op = Op.EQUAL, detail: str = plays) -> Row:
        return Row(
            what=f"chaos on {backend}, {what}", value=value, unit="", bar=bar, op=op, detail=detail
        )

    rows = [
        row("SIGKILLs", kills.total(), KILLS, Op.AT_LEAST, where),
        row("differences from the undisturbed run", sum(d.differences for d in damages), 0),
        row("double promotions", sum(d.double_promotions for d in damages), 0),
        row("lost approvals", sum(d.lost_approvals for d in damages), 0),
        row("orphaned blobs that doctor does not find", sum(d.unfound_blobs for d in damages), 0),
        row("services that fell by themselves", len(falls), 0, Op.EQUAL, "; ".join(falls)[:300]),
    ]
    if backend != "sqlite":
        rows.insert(1, row("restarts of the server", restarts, RESTARTS, Op.AT_LEAST))
    return rows


# -- one play -------------------------------------------------------------------------------------


def _disturbed(
    folder: Path,
    backend: str,
    rng: random.Random,
    kills: int,
    restarts: int,
    expected: Outcome,
    *,
    whole: bool,
) -> Damage:
    postgres = backend != "sqlite"
    (folder / "server").mkdir()
    with PostgresServer(folder / "server") if postgres else nullcontext() as server:
        url = server.fresh("almanac") if server else None
        with staged(folder, url, whole=whole) as (home, play):
            storm = _Storm(home, play, rng, kills, server, restarts)
            began = time.monotonic()
            through(home, play, storm)
            home.stop()
            storm.damage.took_s = round(time.monotonic() - began, 1)
            return _counted(home, play, storm.damage, expected)


class _Storm:
    """Strikes at random moments, spread over the play's progress."""

    def __init__(
        self,
        home: ServiceHome,
        play: Play,
        rng: random.Random,
        kills: int,
        server: PostgresServer | None,
        restarts: int,
    ) -> None:
        self._home, self._play, self._rng, self._kills = home, play, rng, kills
        self._server, self._restarts = server, restarts if server else 0
        self.damage = Damage()
        self._next = time.monotonic() + rng.uniform(0, _LONGEST_S)

    @property
    def left(self) -> int:
        return self._kills - self.damage.struck

    def strike(self, progress: float) -> bool:
        """Kill somebody, or restart the server, if it is time; whether that was done."""
        if time.monotonic() < self._next:
            return False
        due = progress + 0.04
        if self._server and self.damage.restarts < self._restarts * due:
            self._server.restart(crash=self._rng.random() < 0.5)
            self.damage.restarts += 1
        elif self.left and self.damage.struck < self._kills * due:
            self._kill()
        else:
            return False
        self._next = time.monotonic() + self._rng.uniform(0, _LONGEST_S)
        return True

    def fell(self) -> None:
        """The service ended without having been struck."""
        self.damage.falls.append(self._home.last_words())

    def _kill(self) -> None:
        children = self._home.children()
        jobs = {pid: name for pid, name in children.items() if name != "gateway"}
        chosen = self._rng.choice(["service", "gateway", "job"])
        pool = jobs if chosen == "job" else children if chosen == "gateway" else {}
        if pool:
            pid = self._rng.choice(sorted(pool))
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            name = pool[pid]
        else:
            self._home.kill()
            self._home.start()
            name = "service"
        running = sorted(jobs.values())
        where = f"{name} during {running[0]}" if running else name
        self.damage.kills[where] = self.damage.kills.get(where, 0) + 1


def _counted(home: ServiceHome, play: Play, damage: Damage, expected: Outcome) -> Damage:
    """Compare, and look for what must not be there."""
    found = play.outcome()
    damage.differences = found.differences(expected)
    targets = [move[2] for move in found.history if move[0] == "promote"]
    damage.double_promotions = len(targets) - len(set(targets))
    damage.lost_approvals = len(play.lost_approvals())
    damage.unfound_blobs = _unfound(home, play)
    return damage


def _unfound(home: ServiceHome, play: Play) -> int:
    """Files among the blobs that belong to no version, after `doctor --repair` has gone over them
    as over old ones."""
    root = home.settings.blobs
    for path in root.rglob("*"):
        os.utime(path, (0, 0))
    leavings.look(play.services, repair=True)
    blobs = Blobs(root)
    known = [blobs.path(v.digest) for v in play.services.registry.versions() if v.digest]
    files = [path for path in root.rglob("*") if path.is_file()]
    return sum(not any(folder in path.parents for folder in known) for path in files)
