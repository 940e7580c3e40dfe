"""The demo: the whole loop on real facts, from the first edit to a rollback and back.

Owns the order of the acts. Each act reads from the database what is left of it, so a demo that was
stopped at any moment goes on at its next start. The acts themselves are in the modules beside.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import httpx

from agents.errors import AgentError
from daemon import config, log
from daemon.app import Almanac
from daemon.clock import FileClock
from daemon.config import Settings
from daemon.demo import closing, releasing, reviewing, summary
from daemon.demo.asking import Asker
from daemon.demo.children import Children, free_port
from daemon.demo.home import held, own_settings
from daemon.demo.notes import Notes
from daemon.demo.options import (
    DEFAULT_HOME,
    DEFAULT_SEED,
    REVIEWS,
    DemoOptions,
    remember,
    settings_text,
)
from daemon.demo.progress import Narrator, console
from daemon.demo.result import DemoResult
from daemon.demo.rolling import roll
from daemon.demo.watching import Weeks, discover, listening, watch_on
from daemon.demo.wikidata.scenario import Scenario, build_scenario
from daemon.errors import AlmanacError
from daemon.preconditions import check_recipe
from daemon.registry.releases import Release
from daemon.services import Services
from daemon.serving.announcement import ANNOUNCEMENT, announced_url
from daemon.store.states import ReleaseState
from knowledge.world import World

POLICIES = Path(__file__).with_name("policies")
APPROVALS = Path(__file__).parents[1] / "review" / "policies" / "demo.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of the demo; its exit status is `run_demo`'s."""
    parser = argparse.ArgumentParser(prog="almanac demo", description="the whole loop, offline")
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="its folder")
    parser.add_argument("--seed", default=DEFAULT_SEED, help="of the scenario")
    parser.add_argument("--mini", action="store_true", help="four edits, in seconds")
    parser.add_argument("--recipe", default=None, help="of the training; `none` trains nothing")
    parser.add_argument("--keep", action="store_true", help="leave the gateway answering")
    parser.add_argument(
        "--review", choices=REVIEWS, default="policy", help="who approves: a policy, or you"
    )
    parser.add_argument("--fresh", action="store_true", help="start over")
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON; the tale goes to stderr"
    )
    return run_demo(DemoOptions(**vars(parser.parse_args(arguments))))


def run_demo(options: DemoOptions) -> int:
    """Run or continue the demo; 0 when everything that it shows holds, 1 when something does not,
    2 when it could not go on, 130 when it was interrupted."""
    out = console(stderr=options.json)
    try:
        check_recipe(options.chosen_recipe)
        with own_settings(), held(options):
            return asyncio.run(_Demo(options, Narrator(out)).play())
    except (AlmanacError, AgentError) as error:
        told = console(stderr=True)
        told.print(f"demo: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        out.print("demo: stopped; the next start goes on from here")
        return 130


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
        self.port = remember(self.options, free_port())
        scenario = build_scenario(
            World.load(), self.options.seed, self.size.successions, self.size.noise
        )
        self._say_hello(scenario)
        if not self.options.clock_file.exists():
            self.clock.set(scenario.start)
        settings = self._settings(self._start_wikidata(), scenario)
        self._log_to_file(settings)
        async with Almanac.open(settings) as almanac:
            self._start_gateway()
            async with self._reviewers(almanac):
                await self._watch_and_release(almanac, scenario)
            asker = self._gateway()
            await roll(almanac, asker, self.notes, self.narrator)
            result = await asyncio.to_thread(self._close, almanac.services, scenario, asker)
        return result, asker.url

    # -- what runs beside -----------------------------------------------------------------------

    def _say_hello(self, scenario: Scenario) -> None:
        self.narrator.say(
            f"Almanac demo, seed {scenario.seed}: {len(scenario.edits)} edits on a local Wikidata "
            f"from {scenario.start:%d %b %Y} to {scenario.end:%d %b %Y}; "
            f"{len(scenario.expected)} facts really change. Everything is kept in {self.home}."
        )

    def _start_wikidata(self) -> str:
        url = f"http://127.0.0.1:{self.port}"
        arguments = [
            *("--port", str(self.port), "--seed", self.options.seed),
            *("--clock-file", str(self.options.clock_file)),
            *("--successions", str(self.size.successions), "--noise", str(self.size.noise)),
        ]
        with self.narrator.stage("start", "Starting the local Wikidata") as stage:
            self.children.start("wikidata", "daemon.demo.wikidata", arguments)
            self.children.wait_for("wikidata", lambda: _answers(f"{url}/_control/status"))
            stage.note = url
        return url

    def _settings(self, wikidata_url: str, scenario: Scenario) -> Settings:
        text = settings_text(
            self.options,
            wikidata_url,
            properties=self._properties(scenario),
            approvals=str(APPROVALS),
            gate=str(POLICIES / "mini.toml") if self.options.mini else "demo",
        )
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

    def _start_gateway(self) -> None:
        """Begin serving version 0, or what the alias names by now; nobody waits for it yet."""
        (self.home / ANNOUNCEMENT).unlink(missing_ok=True)
        arguments = ["--config", str(self.options.settings_file)]
        self.children.start("gateway", "daemon.serving", arguments, tied=not self.options.keep)

    def _gateway(self) -> Asker:
        """A client of the gateway, once it answers."""
        if self.asker is None:
            with self.narrator.stage("start", "Waiting for the gateway") as stage:
                self.children.wait_for("gateway", lambda: announced_url(self.home) is not None)
                url = announced_url(self.home)
                assert url is not None
                self.asker = Asker(url)
                self.children.wait_for("gateway", lambda: _answers(f"{url}/healthz"))
                stage.note = url
        return self.asker

    def _reviewers(self, almanac: Almanac) -> AbstractAsyncContextManager[str | None]:
        """The pages, where a person reviews."""
        if self.options.in_browser:
            return reviewing.pages(almanac, self.narrator)
        return nullcontext()

    # -- watching and releasing -----------------------------------------------------------------

    async def _watch_and_release(self, almanac: Almanac, scenario: Scenario) -> None:
        weeks = Weeks(almanac, scenario, self.clock, self.size.step_h)
        with self.narrator.stage("watch list", "Reading the watch list and its items") as stage:
            if not almanac.services.watch.list():
                await discover(almanac, almanac.settings.watch.properties)
            await weeks.work_off(stage)
            stage.note = f"{len(almanac.services.watch.list())} items"
        async with listening(almanac):
            await weeks.sweep()
            await weeks.catch_up()
            while True:
                if self.options.in_browser and self._is_planned(almanac.services):
                    edits = self.size.edits_per_release
                    await reviewing.decided(almanac, self.narrator, edits)
                await self._release(almanac)
                if weeks.over:
                    return
                await self._watch_until_release(almanac, weeks)

    def _properties(self, scenario: Scenario) -> list[str]:
        """All that the world's table knows of; of the mini demo only what its changes are of."""
        facts = scenario.successions if self.options.mini else scenario.world.facts
        return sorted({fact.property for fact in facts})

    async def _watch_until_release(self, almanac: Almanac, weeks: Weeks) -> None:
        """Let time pass until a release can be frozen, or until the end."""
        days = (weeks.end - weeks.start).days
        title = f"Watching {days} days"
        with self.narrator.stage("watch", title, total=weeks.steps) as stage:
            while not weeks.over:
                await watch_on(weeks, stage)
                if self._release_is_due(almanac.services) or self._review_is_due(almanac.services):
                    return

    def _is_planned(self, services: Services) -> bool:
        """Fewer releases than planned are there, and none was refused."""
        known = services.releases.list()
        refused = any(r.state in (ReleaseState.FAILED, ReleaseState.INCONCLUSIVE) for r in known)
        return not refused and len(known) < self.size.releases

    def _release_is_due(self, services: Services) -> bool:
        """Another release is planned, and enough edits wait for it."""
        enough = services.releases.ready() >= self.size.edits_per_release
        return enough and self._is_planned(services)

    def _review_is_due(self, services: Services) -> bool:
        """A person could approve enough for the next release."""
        if not self.options.in_browser or not self._is_planned(services):
            return False
        return reviewing.enough_wait(services, self.size.edits_per_release)

    async def _release(self, almanac: Almanac) -> None:
        """Finish the release that stands before production, or make the next one."""
        services = almanac.services
        standing = await asyncio.to_thread(services.releases.standing)
        if standing is None and self._release_is_due(services):
            standing = await releasing.freeze(almanac)
        if standing is not None:
            release = await releasing.make(almanac, standing, self.narrator)
            if release.state is ReleaseState.PROMOTED:
                await self._served(release)

    async def _served(self, release: Release) -> None:
        asker = self._gateway()
        title = f"Serving version {release.version}"
        with self.narrator.stage(f"serve release {release.id}", title) as stage:
            await asyncio.to_thread(asker.wait_until_serving, f"v{release.version}")
            stage.note = "loaded, smoked, flipped"

    # -- the end --------------------------------------------------------------------------------

    def _close(self, services: Services, scenario: Scenario, asker: Asker) -> DemoResult:
        return closing.close(services, scenario, self.options, asker, self.notes, self.narrator)

    def _curtain(self, result: DemoResult, kept_url: str | None) -> int:
        summary.show(self.narrator.out, result)
        if self.options.json:
            print((self.home / closing.RESULT_FILE).read_text(encoding="utf-8").rstrip())
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


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
