"""The timers by which the stages tick go on when the clock on the wall is set back.

Owns that alone. APScheduler plans each next tick by the clock on the wall; after a step back by an
hour all of them would stand still for an hour.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

import structlog
from apscheduler.schedulers.base import BaseScheduler

_LOOK_S = 5.0
_SLACK = dt.timedelta(seconds=1)

log = structlog.get_logger()


def bring_forward(scheduler: BaseScheduler, now: dt.datetime) -> int:
    """Let what is planned more than its own interval ahead of `now` tick now; how many those are.
    For timers with intervals alone."""
    found = 0
    for job in scheduler.get_jobs():
        planned = job.next_run_time
        if planned is not None and planned > now + job.trigger.interval + _SLACK:
            job.modify(next_run_time=now)
            found += 1
    return found


async def mind_the_clock(
    scheduler: BaseScheduler, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
) -> None:
    """For as long as it runs, by the event loop's own time, which nobody sets."""
    while True:
        await asyncio.sleep(_LOOK_S)
        if found := bring_forward(scheduler, now()):
            log.warning("service.clock_was_set_back", timers=found)
