"""The gateway as a process: its announcement, its end.

Owns the file that says where the gateway listens. Composition of source and engine is in
`__main__`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvicorn

from daemon.serving.gateway import Gateway, create_app
from daemon.upkeep import sdnotify

ANNOUNCEMENT = "gateway.json"

log = structlog.get_logger()


@contextmanager
def announced(home: Path, url: str) -> Iterator[Path]:
    """While inside, `home/gateway.json` says where the gateway listens and as which process."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / ANNOUNCEMENT
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
    os.replace(temporary, path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def announced_url(home: Path) -> str | None:
    """Where the gateway of this home listens; None when none says so."""
    try:
        url = json.loads((home / ANNOUNCEMENT).read_text(encoding="utf-8"))["url"]
    except (OSError, ValueError, KeyError):
        return None
    return url if isinstance(url, str) else None


def serve(gateway: Gateway, listening: socket.socket, home: Path) -> None:
    """Answer until SIGTERM or SIGINT; running requests are finished first."""
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    config = uvicorn.Config(
        create_app(gateway), log_config=None, access_log=False, timeout_graceful_shutdown=30
    )
    with announced(home, url):
        log.info("gateway.listening", url=url, alias=gateway.alias)
        sdnotify.notify(READY="1", STATUS=f"gateway: {url}")  # where it is a service of its own
        uvicorn.Server(config).run(sockets=[listening])
