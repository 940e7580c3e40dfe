"""One scenario played through by a service: time moves, a reviewer approves, releases are made.

Owns when time may move on (nothing that is due is left undone, so that the order of things depends
on the scenario alone), the reviewer at the API, how far the play is, and what it left at the end.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass

import httpx

from agents.wikidata.sparql import SparqlEndpoint
from agents.wikidata.stream import STREAM
from daemon.accounts import Role
from daemon.bench.service_home import ServiceHome
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
    """Drives one home to the end of its scenario, in small steps."""

    def __init__(self, home: ServiceHome, *, step_h: float, edits_per_release: int) -> None:
        self._home = home
        self._step = dt.timedelta(hours=step_h)
        self._size = edits_per_release
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
        releases = self._services.releases.list()
        stages = sum(1 + _STAGES.index(r.state) for r in releases if r.state in _STAGES)
        wanted = len(_STAGES) * len(self._home.scenario.successions) / self._size
        return 0.5 * min(1.0, passed) + 0.5 * min(1.0, stages / wanted)

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
        if counts.get(ChangeState.SETTLED) or counts.get(ChangeState.DRAFTING):
            return False
        releases = self._services.releases
        return releases.standing() is None and releases.ready() < self._size

    def _review(self) -> bool:
        """Approve as many as the next release still takes, in an order that every play has."""
        waiting = self._services.review.list([ChangeState.IN_REVIEW])
        room = self._size - self._services.releases.ready()
        for item in sorted(waiting, key=lambda item: item.fact.key)[:room]:
            answer = httpx.post(
                f"{self._home.url}/api/v1/changes/{item.id}/approve",
                json={"digest": item.digest, "reason": "read and found right"},
                headers={"Authorization": f"Bearer {self._token}"},
                timeout=10.0,
            )
            if answer.status_code == 200:
                self.approved[item.fact.key] = item.digest or ""
            elif answer.status_code != 409:  # an approval whose answer a kill has swallowed
                answer.raise_for_status()
        return bool(waiting and room > 0)

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
