"""The demo's reviewer: the pages of Almanac beside the demo, and waiting for a person's decisions.

Owns the web server of `REVIEW=browser` and the waiting. What is decided there is the review
service's, as everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn

from daemon.accounts import Role
from daemon.app import Almanac
from daemon.demo.progress import Narrator
from daemon.listening import listen
from daemon.services import Services
from daemon.store.states import ChangeState
from daemon.web.app import create_app

REVIEWER = "you"
_LOOK_EVERY_S = 0.3


class _Server(uvicorn.Server):
    """A server that leaves signals to the demo."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def pages(almanac: Almanac, narrator: Narrator) -> AsyncIterator[str]:
    """Serve the pages on a free port while inside; the URL of a link that lets the reviewer in."""
    listening = listen("127.0.0.1", 0, "web.port")
    app = create_app(almanac.services, almanac.status, sources=almanac.sources)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    link = f"{url}/enter/{await asyncio.to_thread(_link, almanac.services)}"
    narrator.say(f"Review in the browser; this link lets you in once: {link}")
    try:
        yield link
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=10)
        task.cancel()


def _link(services: Services) -> str:
    if REVIEWER not in {user.name for user in services.accounts.users()}:
        services.accounts.add(REVIEWER, Role.OPERATOR, actor="demo")
    return services.accounts.link(user=REVIEWER)


def enough_wait(services: Services, edits: int) -> bool:
    """Whether approving what waits could make a release of that many edits."""
    return services.queue.length() > 0 and (
        services.releases.ready() + services.queue.length() >= edits
    )


async def decided(almanac: Almanac, narrator: Narrator, edits: int) -> None:
    """Until a person has approved enough for a release, or decided all that waits."""
    services = almanac.services

    def look() -> tuple[int, int]:
        counts = services.review.counts()
        return services.releases.ready(), counts.get(ChangeState.IN_REVIEW, 0)

    with narrator.stage("review", "Your review in the browser", total=edits) as stage:
        while True:
            ready, waiting = await asyncio.to_thread(look)
            stage.update(done=ready, note=f"{ready} of {edits} approved, {waiting} wait")
            if ready >= edits or not waiting:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
