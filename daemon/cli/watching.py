"""`almanac watch replay` and `catch-up`, and `almanac classify`: what asks Wikidata itself.

Owns arguments and output. Importing this module loads no langgraph; the commands do.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from daemon.cli import context
from daemon.cli.watch import app
from daemon.errors import ConfigError
from daemon.services import Services, check_ids

if TYPE_CHECKING:
    from agents.wikidata.api import ActionApi

T = TypeVar("T")
_LOOKS = 10_000
"""More batches of looks than any list has: a guard against an endless loop."""


def _asking(work: Callable[[Services, ActionApi], Awaitable[T]]) -> T:
    """Run `work` with the services and a client of the configured Wikidata."""
    from daemon.wiring import wikidata_api

    async def run() -> T:
        with context.services() as services:
            services.settings.require_contact()
            async with wikidata_api(services.settings) as api:
                return await work(services, api)

    return asyncio.run(run())


@app.command()
def replay(
    since: Annotated[str, typer.Option("--from", metavar="DATE", help="Day, e.g. 2026-03-01.")],
    json: context.Json = False,
) -> None:
    """Mark every watched item that was edited since a day, from recent changes (30 days back) or,
    where that is longer ago or takes more requests, by comparing all revisions. The looks follow
    while the service runs."""
    day = _day(since, "--from")

    async def work(services: Services, api: ActionApi) -> int:
        from agents.wikidata.sweep import backfill

        now = services.clock.now()
        _past(day, now, "--from")
        return await backfill(api, services.ledger, _start_of(day), now, clock=services.clock.now)

    number = _asking(work)
    if json:
        context.print_json({"marked": number})
    else:
        context.say(f"{number} items are newly marked")


@app.command("catch-up")
def catch_up(
    since: Annotated[
        str, typer.Option("--since", metavar="DATE", help="Up to when the model's data reaches.")
    ],
    json: context.Json = False,
) -> None:
    """Compare every watched fact with how it was on the day up to which the model's training data
    reaches: every difference becomes a change. Run it once after the first `watch add`."""
    day = _day(since, "--since")

    async def work(services: Services, api: ActionApi) -> dict[str, object]:
        from agents.catch_up import catch_up as run
        from agents.watch import Watcher
        from daemon.wiring import watch_settings

        now = services.clock.now
        _past(day, now(), "--since")
        settings = watch_settings(services.settings)
        done = await run(api, services.ledger, now, day, properties=settings.properties)
        watcher = Watcher(api, services.ledger, now, settings)
        for _ in range(_LOOKS):
            if not await watcher.reconcile():
                break
        return {
            "items": done.items,
            "facts": {str(k): v for k, v in done.facts.items()},
            "skipped": done.skipped,
            "changes": services.review.counts(),
        }

    found = _asking(work)
    if json:
        context.print_json(found)
        return
    context.say(f"{found['items']} items compared with {day}; changes now: {found['changes']}")
    skipped = found["skipped"]
    assert isinstance(skipped, dict)
    for item, reason in skipped.items():
        context.say(f"  {item} left out: {reason}")


@context.app.command()
def classify(
    item: Annotated[str, typer.Argument(help="Item id, e.g. Q60.")],
    property_id: Annotated[
        str | None, typer.Argument(metavar="PROPERTY", help="Property id, e.g. P6; all without.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="With every edit.")] = False,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Compare with this day, not the last look.")
    ] = None,
    json: context.Json = False,
) -> None:
    """What has become of an item's facts since the last look (or a day), and why it is that. For an
    item that is not watched: of the last 90 days."""
    check_ids([item])
    day = _day(since, "--since") if since else None

    async def work(services: Services, api: ActionApi) -> list[str]:
        from agents.explain import explain as run

        cutoff = services.settings.watch.cutoff
        if day is not None:
            _past(day, services.clock.now(), "--since")
        return await run(api, services.ledger, services.clock.now, item, property_id, day, cutoff)

    lines = _asking(work)
    if not explain:
        lines = [line for line in lines if not line.startswith("  r")]
    if json:
        context.print_json({"item": item, "lines": lines})
    else:
        context.say("\n".join(lines))


def _day(text: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} is {text!r}; write a day as 2026-03-01") from None


def _past(day: dt.date, now: dt.datetime, option: str) -> None:
    if day > now.date():
        raise ConfigError(f"{option} is {day}, which is still to come; it is {now.date()} now")


def _start_of(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
