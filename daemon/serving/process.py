"""The gateway as a process: its socket, its announcement, its end.

Owns binding (a busy port is told before anything heavy is loaded) and the file that says where the
gateway listens. Composition of source and engine is in `__main__`.
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

from daemon.errors import ConfigError
from daemon.serving.gateway import Gateway, create_app

ANNOUNCEMENT = "gateway.json"

log = structlog.get_logger()


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"the gateway cannot listen on {host}:{port}: {error.strerror}; "
            "end what uses the port, or set gateway.port to another"
        ) from None
    return listening


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
        uvicorn.Server(config).run(sockets=[listening])
