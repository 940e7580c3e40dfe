"""A Wikidata and Wikipedia that cost next to nothing to ask: the local one's answers, remembered.

Owns the local Wikidata's process and the server in front of it. On a real service these are on
machines of others; a bench that shares two cores with them would measure them. What was asked once
is answered from memory from then on.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from daemon.bench.rows import ROOT

_CONNECTIONS = httpx.Limits(max_connections=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where both are asked, as settings have it."""

    remembered: str
    """Base of what has answers that stay: items and articles."""
    direct: str
    """Base of the local Wikidata itself: the stream and SPARQL."""

    def flags(self) -> list[str]:
        return [
            f"wikidata.api_url={self.remembered}/w/api.php",
            f"wikidata.wikipedia_url={self.remembered}/wikipedia/w/api.php",
            f"wikidata.stream_url={self.direct}/v2/stream/mediawiki.page_change.v1",
            f"wikidata.sparql_url={self.direct}/sparql",
        ]


@contextmanager
def wikidata(folder: Path, seed: str, slots: Sequence[str]) -> Iterator[Addresses]:
    """Serve the end of the scenario of that seed, with changes in these slots and no noise."""
    with _local(folder / "wikidata.log", seed, slots) as url, _remembering(url) as front:
        yield Addresses(remembered=front, direct=url)


@contextmanager
def _local(log: Path, seed: str, slots: Sequence[str]) -> Iterator[str]:
    command = [sys.executable, "-m", "daemon.demo.wikidata", "--seed", seed]
    command += ["--slots", ",".join(slots), "--noise", "0", "--end-with-parent"]
    with log.open("wb") as errors:
        server = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        assert server.stdout is not None
        said = server.stdout.readline().split()  # `local wikidata: URL (...)`
        if len(said) < 3:
            raise RuntimeError(f"the local Wikidata did not start: {log.read_text('utf-8')}")
        yield said[2]
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _remembering(url: str) -> Iterator[str]:
    known: dict[str, tuple[str, bytes]] = {}
    client = httpx.Client(base_url=url, timeout=60.0, limits=_CONNECTIONS, trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are written apart

        def do_GET(self) -> None:
            found = known.get(self.path)
            if found is None:
                agent = self.headers.get("User-Agent", "")  # asked for, as by the real one
                answer = client.get(self.path, headers={"User-Agent": agent})
                if answer.status_code != 200:
                    self.send_error(answer.status_code)
                    return
                found = known[self.path] = answer.headers["content-type"], answer.content
            self.send_response_only(200)
            self.send_header("Content-Type", found[0])
            self.send_header("Content-Length", str(len(found[1])))
            self.end_headers()
            self.wfile.write(found[1])

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True  # connections of those who were killed end with the bench
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        client.close()
