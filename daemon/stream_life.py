"""The event stream's life inside the service: begun, mended, ended with the lead.

Owns when it is followed, and the sign that nothing comes of it. The protocol is
`agents.wikidata.stream`'s; sweep, discovery and audit are `daemon.intake`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from agents.wikidata.errors import Refused
from agents.wikidata.stream import PageChangeStream
from daemon.config import Settings
from daemon.contact import user_agent
from daemon.intake import Intake
from daemon.services import Services
from daemon.upkeep.degraded import Degraded, Mode

_RESTART_S = 5.0
_REFUSED_S = 900.0
"""A refusal is a person's to mend; asked again now and then, because it may have been mended."""
SILENCE_S = 300.0
"""The firehose of all wikis is never silent so long: whatever the reason, nothing is found."""

log = structlog.get_logger()


class StreamLife:
    """Begun when this process leads and there is room, ended when not. Use from the event loop."""

    def __init__(
        self, settings: Settings, services: Services, intake: Intake, degraded: Degraded
    ) -> None:
        self._settings = settings
        self._ledger = services.ledger
        self._clock = services.clock
        self._intake = intake
        self._degraded = degraded
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stream: PageChangeStream | None = None
        self._written = 0
        self._written_at_s = 0.0

    @property
    def runs(self) -> bool:
        return self._task is not None

    def begin(self) -> None:
        """Follow the stream, if that is not done already."""
        if self._task is None:
            self._stop = asyncio.Event()
            self._written, self._written_at_s = 0, time.monotonic()
            self._task = asyncio.create_task(self._follow(self._stop))

    async def end(self, timeout_s: float = 5.0) -> None:
        """Leave the stream; what was committed is where the next one goes on."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stop.set()
        await asyncio.wait({task}, timeout=timeout_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._degraded.report(Mode.WATCHER, None)  # of whoever follows it

    def look(self) -> None:
        """Tell whether events reach the ledger: not for `SILENCE_S`, or again. Filling a gap is no
        silence."""
        stream = self._stream
        if stream is None:
            return
        if stream.health.written != self._written:
            self._written, self._written_at_s = stream.health.written, time.monotonic()
            self._degraded.report(Mode.WATCHER, None)
            return
        if stream.health.filling:
            self._written_at_s = time.monotonic()
            return
        silent_s = time.monotonic() - self._written_at_s
        if silent_s >= SILENCE_S and not self._degraded.holds(Mode.WATCHER):
            why = f": {stream.health.trouble}" if stream.health.trouble else ""
            text = f"nothing came from the event stream for {silent_s / 60:.0f} minutes{why}"
            self._degraded.report(Mode.WATCHER, text)

    async def _follow(self, stop: asyncio.Event) -> None:
        """Without the stream the sweep still finds every change, only later."""

        stream = PageChangeStream(
            self._settings.wikidata.stream_url,
            self._ledger,
            user_agent=user_agent(self._settings),
            gap=self._intake.gap,
            clock=self._clock.now,
        )
        self._stream = stream
        try:
            while not stop.is_set():
                pause_s = _RESTART_S
                try:
                    await stream.run(stop)
                except Refused as error:
                    log.error("watch.stream_refused", reason=str(error))
                    self._degraded.report(Mode.WATCHER, f"the stream refuses us: {error}")
                    pause_s = _REFUSED_S
                except Exception as error:
                    log.warning("watch.stream_failed", reason=str(error))
                    self._degraded.report(Mode.WATCHER, f"the stream failed: {error}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause_s)
        finally:
            self._stream = None
            await stream.aclose()
