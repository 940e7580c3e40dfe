"""A gateway in this process, beside the engine that it uses: what HTTP adds can be told by pairs.

Loads torch.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from daemon.bench.serving_home import Home
from daemon.bench.serving_load import health
from daemon.clock import SystemClock
from daemon.listening import listen
from daemon.serving.access import Access
from daemon.serving.batching import Batcher
from daemon.serving.embedded import EmbeddedEngine
from daemon.serving.embedded_upstream import EmbeddedUpstream
from daemon.serving.gateway import Gateway, create_app
from daemon.serving.source import RegistrySource


@contextmanager
def inside(home: Home) -> Iterator[tuple[EmbeddedEngine, str]]:
    """The engine and the gateway's address. Whoever uses the engine directly must be the only one
    who asks at that moment."""
    log = (home.path / "inside.log").open("w", encoding="utf-8")
    structlog.reset_defaults()  # whatever else this process has set up writes elsewhere
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
    engine = EmbeddedEngine.load(home.base, threads=1)
    source = RegistrySource(
        home.database,
        home.registry,
        SystemClock(),
        alias="production",
        base_digest=engine.base_digest,
        base=home.base,
    )
    gateway = Gateway(
        EmbeddedUpstream(Batcher(engine)), source, alias="production", access=Access(home.path)
    )
    listening = listen("127.0.0.1", 0, "gateway.port")
    server = uvicorn.Server(uvicorn.Config(create_app(gateway), log_config=None, access_log=False))
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
    )
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        while health(url).get("version") is None:
            time.sleep(0.02)
        yield engine, url
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        structlog.reset_defaults()
        log.close()
