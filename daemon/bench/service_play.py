"""One scenario played through by a service: time moves, a reviewer approves, releases are made.

Owns when time may move on (nothing that is due is left undone, so that the order of things depends
on the scenario alone), the reviewer at the API, how far the play is, what it left at the end, and
the order in which a play and whoever disturbs it take turns.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import httpx
from sqlalchemy.exc import InterfaceError, OperationalError

from agents.wikidata.sparql import SparqlEndpoint
from agents.wikidata.stream import STREAM
from daemon.accounts import Role
from daemon.bench.service_home import ServiceHome, demonstration
from daemon.contact import user_agent
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.events import EventLog
from daemon.services import Services
from daemon.store.states import ChangeState, ReleaseState

REVIEWER = "reviewer"
_STAGES = (
    ReleaseState.FROZEN,
    ReleaseState.TRAINING,
    ReleaseState.TRAINED,
    ReleaseState.EVALUATING,
    ReleaseState.PASSED,
    ReleaseState.PROMOTED,
)


STEP_H, EDITS, SUCCESSIONS, NOISE = 48.0, 2, 4, 60
_LOOK_S = 0.05
_STUCK_S = 300.0
"""So long without any progress, although nobody disturbs, is a service that hangs."""
_ALWAYS = (
    "[schedule]",
    "tick_s = 0.3",
    "[curate]",
    "ask_first = false",  # whether the gateway is up at a moment would depend on the machine
)
_RELEASES = ("[release]", f"size = {EDITS}", f"max = {EDITS}", "[gateway]", "port = 0")
_NO_RELEASES = ("[release]", "size = 1000", "max = 1000", "[gateway]", "enabled = false")


class Storm(Protocol):
    """Who disturbs a play."""

    @property
    def left(self) -> int:
        """What is still to be done to it: the play does not end before."""
        ...

    def strike(self, progress: float) -> bool:
        """Disturb it, if it is time; whether that was done."""
        ...

    def fell(self) -> None:
        """The service ended by itself; it is about to be started again."""
        ...


class Calm:
    """Disturbs nothing, and takes a fall for the end of the play."""

    left = 0

    def __init__(self, home: ServiceHome) -> None:
        self._home = home

    def strike(self, progress: float) -> bool:
        return False

    def fell(self) -> None:
        raise RuntimeError(f"the service fell: {self._home.last_words()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a play leaves, without ids and times."""

    changes: tuple[tuple[str, str], ...]
    narratives: tuple[tuple[str, str], ...]
    releases: tuple[tuple[str, str | None, tuple[str, ...]], ...]
    """State, adapter and edits of each, in order."""
    history: tuple[tuple[str, str | None, str | None], ...]

    def differences(self, other: Outcome) -> int:
        """Entries that only one of the two has; in releases and history their order counts too."""
        sets = zip((self.changes, self.narratives), (other.changes, other.narratives), strict=True)
        lists = zip((self.releases, self.history), (other.releases, other.history), strict=True)
        return sum(len(set(a) ^ set(b)) for a, b in sets) + sum(
            sum(x != y for x, y in zip(a, b, strict=False)) + abs(len(a) - len(b)) for a, b in lists
        )


class Play:
    """Drives one home to the end of its scenario, in small steps. Without `edits_per_release`
    nothing is released: the play ends with what was approved."""

    def __init__(self, home: ServiceHome, *, step_h: float, edits_per_release: int) -> None:
        self._home = home
        self._step = dt.timedelta(hours=step_h)
        self._size = edits_per_release or 1000
        self._releases = (
            len(home.scenario.successions) // edits_per_release if edits_per_release else 0
        )
        scenario = home.scenario
        self._log = EventLog(Archive(scenario))
        self._start, self._end = scenario.start, scenario.end
        self._services = Services.open(home.settings)
        self._idle = 0
        self.approved: dict[str, str] = {}
        """Digest of the draft by change, of every approval that the service has confirmed."""
        self._token = self._first_steps()

    def close(self) -> None:
        self._services.close()

    @property
    def services(self) -> Services:
        return self._services

    @property
    def over(self) -> bool:
        return self._home.clock.now() >= self._end and self._idle > 1

    def progress(self) -> float:
        """From 0 to 1: half of it is time, the other half are the stages of the releases."""
        now = self._home.clock.now()
        passed = (now - self._start) / (self._end - self._start)
        if not self._releases:
            return min(1.0, passed)
        releases = self._services.releases.list()
        stages = sum(1 + _STAGES.index(r.state) for r in releases if r.state in _STAGES)
        return 0.5 * min(1.0, passed) + 0.5 * min(1.0, stages / (len(_STAGES) * self._releases))

    def step(self) -> bool:
        """Look once: approve what waits, or move the clock on when nothing is left to do (seen
        twice, because a look is several reads). Whether something was done."""
        if not self._caught_up() or self._review():
            self._idle = 0
            return False
        self._idle += 1
        if self._idle < 2 or self._home.clock.now() >= self._end:
            return False
        self._home.clock.set(min(self._home.clock.now() + self._step, self._end))
        self._idle = 0
        return True

    def outcome(self) -> Outcome:
        """What the database holds now."""
        review, registry = self._services.review, self._services.registry
        items = review.list(tuple(ChangeState))
        units = [unit for item in items if (unit := review.show(item.id).unit)]
        releases = self._services.releases
        shown = [releases.show(release.id) for release in releases.list()]
        moves = registry.history(self._services.settings.gateway.alias)
        return Outcome(
            changes=tuple(sorted((item.fact.key, item.state.value) for item in items)),
            narratives=tuple(
                sorted((u.change.key, u.narrative.digest) for u in units if u.narrative)
            ),
            releases=tuple(
                (
                    detail.release.state.value,
                    detail.release.adapter,
                    tuple(sorted(unit.change.key for unit in detail.units)),
                )
                for detail in shown
            ),
            history=tuple((move.action, move.from_digest, move.to_digest) for move in moves),
        )

    def lost_approvals(self) -> list[str]:
        """Changes whose confirmed approval has no event any more, or was forgotten since."""
        lost = []
        for item in self._services.review.list(tuple(ChangeState)):
            if item.fact.key not in self.approved:
                continue
            standing = (ChangeState.APPROVED, ChangeState.BATCHED, ChangeState.LIVE)
            if item.state not in standing:
                lost.append(item.fact.key)
        return lost

    # -- what is left to do -----------------------------------------------------------------------

    def _caught_up(self) -> bool:
        """From the stream to the releases, in this order: what is empty upstream stays empty."""
        return self._drafted() and self._released()

    def _drafted(self) -> bool:
        """Whether all edits up to now were looked at, and what settled was proposed."""
        now, ledger = self._home.clock.now(), self._services.ledger
        sent = self._log.end(now)
        if sent:
            cursor = asyncio.run(ledger.cursor(STREAM))
            last_ms = self._log.entries[sent - 1].timestamp_ms
            if cursor is None or cursor.event_time.timestamp() * 1000 < last_ms:
                return False
        if asyncio.run(ledger.dirty(1, now)):
            return False
        counts = self._services.review.counts()
        return not (counts.get(ChangeState.SETTLED) or counts.get(ChangeState.DRAFTING))

    def _released(self) -> bool:
        """Whether no release is on its way, nor due."""
        releases = self._services.releases
        return releases.standing() is None and releases.ready() < self._size

    def _review(self) -> bool:
        """Approve as many as the next release still takes, in an order that every play has."""
        waiting = self._services.review.list([ChangeState.IN_REVIEW])
        room = self._size - self._services.releases.ready()
        for item in sorted(waiting, key=lambda item: item.fact.key)[:room]:
            told = {"digest": item.digest, "reason": "read and found right"}
            if self._decide(item.id, "approve", told):
                self.approved[item.fact.key] = item.digest or ""
        return bool(waiting and room > 0)

    def _decide(self, change_id: int, verb: str, told: dict[str, str | None]) -> bool:
        """Whether the service took it; a decision whose answer a kill has swallowed stands."""
        answer = httpx.post(
            f"{self._home.url}/api/v1/changes/{change_id}/{verb}",
            json=told,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=10.0,
        )
        if answer.status_code != 409:
            answer.raise_for_status()
        return answer.status_code == 200

    def _first_steps(self) -> str:
        """What a person does once: name the subjects, and make an account for the reviewer."""
        if not self._services.watch.list():
            asyncio.run(self._watch())
        accounts = self._services.accounts
        if REVIEWER not in {user.name for user in accounts.users()}:
            accounts.add(REVIEWER, Role.ADMIN, password="a long password", actor="bench")
        return accounts.new_token(REVIEWER, "bench", Role.REVIEWER, actor="bench")[1]

    async def _watch(self) -> None:
        settings = self._home.settings
        endpoint = SparqlEndpoint(settings.wikidata.sparql_url, user_agent=user_agent(settings))
        found: set[str] = set()
        for property_id in settings.watch.properties:
            found |= set(await endpoint.subjects(property_id))
        self._services.watch.add(sorted(found))


@contextmanager
def staged(
    folder: Path,
    database_url: str | None = None,
    *,
    whole: bool = True,
    place: Path | None = None,
) -> Iterator[tuple[ServiceHome, Play]]:
    """A home in `folder` (or in `place`) with its service started, and the play that goes with it:
    a `whole` one, or one without releases and gateway."""
    with ServiceHome(
        folder,
        demonstration("1", SUCCESSIONS, NOISE),
        database_url=database_url,
        place=place,
        more=(*_ALWAYS, *(_RELEASES if whole else _NO_RELEASES)),
    ) as home:
        home.start()
        play = Play(home, step_h=STEP_H, edits_per_release=EDITS if whole else 0)
        try:
            yield home, play
        finally:
            play.close()


def through(home: ServiceHome, play: Play, storm: Storm) -> None:
    """To the end of the scenario. Raises RuntimeError when the service hangs."""
    last, moved_at = -1.0, time.monotonic()
    while not play.over or storm.left:
        try:
            play.step()
            now = play.progress()
        except (OperationalError, InterfaceError, httpx.HTTPError):
            now = last  # it was killed, its disk is full, or its database is restarting
        if now != last or storm.strike(now):
            last, moved_at = now, time.monotonic()
        if home.exit_status() is not None:
            storm.fell()
            home.start()
        if time.monotonic() - moved_at > _STUCK_S:
            raise RuntimeError(f"nothing moved for {_STUCK_S:.0f} s at {last:.2f} of {home.folder}")
        time.sleep(_LOOK_S)


@cache
def undisturbed(whole: bool) -> Outcome:
    """What the play leaves when nobody strikes, on SQLite: played once a process."""
    scratch = tempfile.TemporaryDirectory(prefix="almanac-calm-")
    with scratch as folder, staged(Path(folder), whole=whole) as (home, play):
        through(home, play, Calm(home))
        home.stop()
        return play.outcome()
