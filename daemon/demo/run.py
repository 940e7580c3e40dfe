"""The demo: the whole loop on real facts, from the first edit to a rollback and back.

Owns the order of the acts. Each act reads from the database what is left of it, so a demo that was
stopped at any moment goes on at its next start. The acts themselves are in the modules beside.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter

from daemon import config, log
from daemon.app import Almanac
from daemon.clock import FileClock
from daemon.config import Settings
from daemon.demo import document, measuring, releasing, summary
from daemon.demo.asking import Asker, is_right, plain_question
from daemon.demo.children import Children, free_port
from daemon.demo.errors import DemoError
from daemon.demo.finding import found
from daemon.demo.notes import Notes
from daemon.demo.options import DemoOptions, remember, settings_text
from daemon.demo.progress import Narrator, console
from daemon.demo.result import DemoResult, Rolled, Shown
from daemon.demo.watching import Weeks, discover, listening, watch_on
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from daemon.errors import AlmanacError
from daemon.registry.releases import Release
from daemon.registry.service import PRODUCTION
from daemon.serving.process import ANNOUNCEMENT, announced_url
from daemon.store.states import ReleaseState
from knowledge.properties import WATCHED
from knowledge.world import World

POLICIES = Path(__file__).with_name("policies")
APPROVALS = Path(__file__).parents[1] / "review" / "policies" / "demo.toml"
ACTOR = "demo"
ROLLBACK_REASON = "to show that it can be taken back"
AGAIN_REASON = "back to the newest version"


def run_demo(options: DemoOptions) -> int:
    """Run or continue the demo; 0 when everything that it shows holds, 1 when something does not,
    2 when it could not go on, 130 when it was interrupted."""
    out = console()
    try:
        with _home(options):
            return asyncio.run(_Demo(options, Narrator(out)).play())
    except AlmanacError as error:
        out.print(f"demo: {error}", style="red", markup=False, highlight=False)
        return 2
    except KeyboardInterrupt:
        out.print("demo: stopped; the next start goes on from here")
        return 130


@contextmanager
def _home(options: DemoOptions) -> Iterator[None]:
    """Hold the demo's folder: one demo at a time, nothing left over from a killed one."""
    home = options.home
    home.mkdir(parents=True, exist_ok=True)
    with (home.parent / f".{home.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                f"another demo runs in {home}; end it, or name another --home"
            ) from None
        Children(home).sweep()
        if options.fresh:
            _clear(home)
        yield


def _clear(home: Path) -> None:
    """Empty the folder of an earlier demo. Raises DemoError for a folder that is something else."""
    content = list(home.iterdir())
    if content and not (home / "demo.json").exists() and not (home / "logs").exists():
        raise DemoError(
            f"{home} is not a demo's folder and will not be emptied; name another --home"
        )
    for path in content:
        if path.is_dir():
            for inner in [path, *path.rglob("*")]:
                if inner.is_dir() and not inner.is_symlink():
                    inner.chmod(0o755)  # the registry's blobs are read-only
            shutil.rmtree(path)
        else:
            path.unlink()


class _Demo:
    """One play of the demo, with what its acts share."""

    def __init__(self, options: DemoOptions, narrator: Narrator) -> None:
        self.options = options
        self.size = options.size
        self.home = options.home
        self.narrator = narrator
        self.notes = Notes.read(options.home)
        narrator.took_s = self.notes.took_s
        self.children = Children(options.home)
        self.clock = FileClock(options.clock_file)
        self.asker: Asker | None = None

    async def play(self) -> int:
        """All acts, then the curtain, whatever happened."""
        keep = False
        try:
            result, url = await self._acts()
            keep = self.options.keep
        finally:
            if self.asker is not None:
                self.asker.close()
            self.notes.write(self.home)
            self.children.stop_all(but=("gateway",) if keep else ())
        return self._curtain(result, url if keep else None)

    async def _acts(self) -> tuple[DemoResult, str]:
        scenario = build_scenario(
            World.load(), self.options.seed, self.size.successions, self.size.noise
        )
        self._say_hello(scenario)
        if not self.options.clock_file.exists():
            self.clock.set(scenario.start)
        settings = self._settings(self._start_wikidata())
        self._log_to_file(settings)
        async with Almanac.open(settings) as almanac:
            url = self._start_gateway()
            await self._watch_and_release(almanac, scenario)
            await self._roll(almanac)
            result = await asyncio.to_thread(self._measure, almanac, scenario)
        return result, url

    # -- what runs beside -----------------------------------------------------------------------

    def _say_hello(self, scenario: Scenario) -> None:
        self.narrator.say(
            f"Almanac demo, seed {scenario.seed}: {len(scenario.edits)} edits on a local Wikidata "
            f"from {scenario.start:%d %b %Y} to {scenario.end:%d %b %Y}; "
            f"{len(scenario.expected)} facts really change. Everything is kept in {self.home}."
        )

    def _start_wikidata(self) -> str:
        port = remember(self.options, free_port())
        url = f"http://127.0.0.1:{port}"
        arguments = [
            *("--port", str(port), "--seed", self.options.seed),
            *("--clock-file", str(self.options.clock_file)),
            *("--successions", str(self.size.successions), "--noise", str(self.size.noise)),
        ]
        with self.narrator.stage("start", "Starting the local Wikidata") as stage:
            self.children.start("wikidata", "daemon.demo.wikidata", arguments)
            self.children.wait_for("wikidata", lambda: _answers(f"{url}/_control/status"))
            stage.note = url
        return url

    def _settings(self, wikidata_url: str) -> Settings:
        policy = str(POLICIES / "mini.toml") if self.options.mini else "demo"
        text = settings_text(self.options, wikidata_url, approvals=str(APPROVALS), gate=policy)
        self.options.settings_file.write_text(text, encoding="utf-8")
        return config.load(self.options.settings_file).settings

    def _log_to_file(self, settings: Settings) -> None:
        """The terminal belongs to the narrator."""
        log.set_up(settings.log)
        path = self.home / "logs" / "almanac.log"
        stream = path.open("a", encoding="utf-8")
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(stream)

    def _start_gateway(self) -> str:
        """Begin serving version 0, or what the alias names by now; its address."""
        (self.home / ANNOUNCEMENT).unlink(missing_ok=True)
        arguments = ["--config", str(self.options.settings_file)]
        with self.narrator.stage("start", "Starting the gateway") as stage:
            self.children.start("gateway", "daemon.serving", arguments, tied=not self.options.keep)
            self.children.wait_for("gateway", lambda: announced_url(self.home) is not None)
            url = announced_url(self.home)
            assert url is not None
            self.asker = Asker(url)
            self.children.wait_for("gateway", lambda: _answers(f"{url}/healthz"))
            stage.note = url
        return url

    # -- watching and releasing -----------------------------------------------------------------

    async def _watch_and_release(self, almanac: Almanac, scenario: Scenario) -> None:
        weeks = Weeks(almanac, scenario, self.clock, self.size.step_h)
        with self.narrator.stage("watch list", "Reading the watch list and its items") as stage:
            if not almanac.services.watch.list():
                await discover(almanac, sorted(WATCHED))
            await weeks.work_off(stage)
            stage.note = f"{len(almanac.services.watch.list())} items"
        async with listening(almanac):
            await weeks.sweep()
            await weeks.catch_up()
            while True:
                await self._release(almanac)
                if weeks.over:
                    return
                await self._watch_until_release(almanac, weeks)

    async def _watch_until_release(self, almanac: Almanac, weeks: Weeks) -> None:
        """Let time pass until a release can be frozen, or until the end."""
        days = (weeks.end - weeks.start).days
        title = f"Watching {days} days"
        with self.narrator.stage("watch", title, total=weeks.steps) as stage:
            while not weeks.over:
                await watch_on(weeks, stage)
                if self._wants_release(almanac) and self._enough(almanac):
                    return

    def _enough(self, almanac: Almanac) -> bool:
        return almanac.services.releases.ready() >= self.size.edits_per_release

    def _wants_release(self, almanac: Almanac) -> bool:
        """Fewer releases than planned are there, and none was refused."""
        known = almanac.services.releases.list()
        refused = any(r.state in (ReleaseState.FAILED, ReleaseState.INCONCLUSIVE) for r in known)
        return len(known) < self.size.releases and not refused

    async def _release(self, almanac: Almanac) -> None:
        """Finish the release that stands before production, or make the next one."""
        services = almanac.services
        standing = await asyncio.to_thread(services.releases.standing)
        if standing is None and self._wants_release(almanac) and self._enough(almanac):
            standing = await releasing.freeze(almanac)
        if standing is not None:
            release = await releasing.make(almanac, standing, self.narrator)
            if release.state is ReleaseState.PROMOTED:
                await self._served(release)

    async def _served(self, release: Release) -> None:
        assert self.asker is not None
        title = f"Serving version {release.version}"
        with self.narrator.stage(f"serve release {release.id}", title) as stage:
            await asyncio.to_thread(self.asker.wait_until_serving, f"v{release.version}")
            stage.note = "loaded, smoked, flipped"

    # -- taking it back -------------------------------------------------------------------------

    async def _roll(self, almanac: Almanac) -> None:
        """Roll the last promotion back and promote it again, once in a demo's life."""
        registry, asker = almanac.services.registry, self.asker
        assert asker is not None
        moves = registry.history(PRODUCTION)
        promoted = _promoted(almanac)
        if not promoted or any(move.reason == AGAIN_REASON for move in moves):
            return
        last = promoted[-1]
        question = plain_question(_units(almanac, last)[0]).text
        with self.narrator.stage("roll back", "Rolling back, and promoting again") as stage:
            if not any(move.reason == ROLLBACK_REASON for move in moves):
                before = f"v{promoted[-2].version}" if len(promoted) > 1 else "v0"
                self.notes.back_s = await asyncio.to_thread(
                    _timed,
                    lambda: registry.rollback(actor=ACTOR, reason=ROLLBACK_REASON),
                    lambda: asker.ask(question).version == before,
                )
                self.notes.write(self.home)
            self.notes.again_s = await asyncio.to_thread(
                _timed,
                lambda: registry.promote(
                    PRODUCTION, last.adapter, actor=ACTOR, reason=AGAIN_REASON
                ),
                lambda: asker.ask(question).version == f"v{last.version}",
            )
            stage.note = f"back in {self.notes.back_s or 0:.2f} s"

    # -- what came of it ------------------------------------------------------------------------

    def _measure(self, almanac: Almanac, scenario: Scenario) -> DemoResult:
        services = almanac.services
        every = services.releases.list()
        examined = [e for r in every if (e := measuring.examined(services, r)) is not None]
        promoted = _promoted(almanac)
        with self.narrator.stage("ask", "Asking before and after") as stage:
            shown = self._ask(almanac, promoted)
            stage.note = f"{sum(s.right_after for s in shown)} of {len(shown)} right"
        result = DemoResult(
            seed=self.options.seed,
            recipe=self.options.chosen_recipe,
            found=found(services, scenario),
            verdicts=tuple(e.gate.outcome.value for e in examined),
            promoted=len(promoted),
            wanted=self.size.releases,
            shown=tuple(shown),
            measures=measuring.measures(examined) if examined else (),
            criteria=measuring.criteria(examined),
            rolled=self._rolled(almanac, promoted),
            took_s=self.narrator.took_s,
        )
        _save(self.home / "result.json", result)
        if examined:
            document.write(self.home, result, examined[-1])
        return result

    def _ask(self, almanac: Almanac, promoted: list[Release]) -> list[Shown]:
        assert self.asker is not None
        shown: list[Shown] = []
        for release in promoted:
            for unit in _units(almanac, release):
                question = plain_question(unit)
                before = self.asker.ask(question.text, model="almanac@v0").text
                after = self.asker.ask(question.text).text
                change = unit.change
                old = change.old.label if change.old else "nobody"
                new = change.new.label if change.new else "nobody"
                shown.append(
                    Shown(
                        slot=unit.slot,
                        change=f"{change.subject.label}: {old}, then {new}",
                        release=release.id,
                        question=question.text,
                        expected=question.reference,
                        before=before,
                        after=after,
                        right_before=is_right(before, question),
                        right_after=is_right(after, question),
                    )
                )
        return shown

    def _rolled(self, almanac: Almanac, promoted: list[Release]) -> Rolled | None:
        """The same question to the three versions that the rollback went through."""
        if not promoted:
            return None
        assert self.asker is not None
        question = plain_question(_units(almanac, promoted[-1])[0]).text
        previous = promoted[-2].version if len(promoted) > 1 else 0
        newest = f"almanac@v{promoted[-1].version}"
        return Rolled(
            question=question,
            served=self.asker.ask(question, model=newest).text,
            rolled_back=self.asker.ask(question, model=f"almanac@v{previous}").text,
            promoted_again=self.asker.ask(question).text,
            back_s=self.notes.back_s,
            again_s=self.notes.again_s,
        )

    def _curtain(self, result: DemoResult, kept_url: str | None) -> int:
        summary.show(self.narrator.out, result)
        if (self.home / "report.html").exists():
            self.narrator.say(f"Report: {self.home / 'report.html'}")
        for failure in result.failures:
            self.narrator.say(f"[red]does not hold:[/] {failure}")
        if kept_url is not None:
            pid = self.children.pid("gateway")
            self.narrator.say(
                f"Still answering: {kept_url}/v1 (model almanac). To end it: kill {pid}"
            )
        return 1 if result.failures else 0


def _promoted(almanac: Almanac) -> list[Release]:
    return [r for r in almanac.services.releases.list() if r.state is ReleaseState.PROMOTED]


def _units(almanac: Almanac, release: Release) -> tuple[Any, ...]:
    return almanac.services.releases.show(release.id).units


def _timed(command: Any, arrived: Any, timeout_s: float = 30.0) -> float:
    """Seconds from giving a command to the first answer that shows it. Raises DemoError."""
    started = time.monotonic()
    command()
    while not arrived():
        if time.monotonic() - started > timeout_s:
            raise DemoError("the gateway did not follow the alias; see logs/gateway.log")
    return time.monotonic() - started


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _save(path: Path, result: DemoResult) -> None:
    data = TypeAdapter(DemoResult).dump_python(result, mode="json")
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, path)
