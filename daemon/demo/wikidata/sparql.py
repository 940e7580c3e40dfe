"""The query service: an Oxigraph child process that holds the items as they are now.

Owns the child (start, restart when it dies, stop), loading it, and keeping it at the same edit as
the rest of the server: before each query the difference since the last one is applied.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shutil
import socket
import sys
from pathlib import Path

import httpx

from daemon.demo.wikidata import rdf
from daemon.demo.wikidata.archive import Archive
from daemon.demo.wikidata.errors import SparqlUnavailable
from daemon.demo.wikidata.lifeline import end_with_parent

_START_S = 15.0
_QUERY_S = 60.0


class SparqlService:
    """Oxigraph over the archive. Use as `await start()`, `await query(...)`, `await stop()`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._process: asyncio.subprocess.Process | None = None
        self._base = ""
        self._applied = -1
        self._at: dt.datetime | None = None
        self._lock = asyncio.Lock()
        self._http = httpx.AsyncClient(timeout=_QUERY_S, trust_env=False)

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process else None

    async def start(self, now: dt.datetime) -> None:
        """Start the child and load the items. Raises SparqlUnavailable."""
        async with self._lock:
            await self._ensure(now)

    async def stop(self) -> None:
        await self._http.aclose()
        await self._end_child()

    async def query(self, now: dt.datetime, query: str, accept: str) -> httpx.Response:
        """The child's own answer to a query over the items as of now. Raises SparqlUnavailable."""
        async with self._lock:
            await self._ensure(now)
            await self._catch_up(now)
        headers = {"Content-Type": "application/sparql-query", "Accept": accept}
        try:
            return await self._http.post(f"{self._base}/query", content=query, headers=headers)
        except httpx.HTTPError as error:
            raise SparqlUnavailable(f"Oxigraph did not answer: {error!r}; try again") from error

    async def _ensure(self, now: dt.datetime) -> None:
        if self.pid is not None:
            return
        port = _free_port()
        self._base = f"http://127.0.0.1:{port}"
        self._process = await asyncio.create_subprocess_exec(
            _binary(),
            "serve",
            "--bind",
            f"127.0.0.1:{port}",
            preexec_fn=end_with_parent,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await self._answering()
        await self._load(now)

    async def _answering(self) -> None:
        deadline = asyncio.get_running_loop().time() + _START_S
        while asyncio.get_running_loop().time() < deadline:
            if self.pid is None:
                raise SparqlUnavailable("Oxigraph ended at once; run `oxigraph serve` by hand")
            with contextlib.suppress(httpx.HTTPError):
                await self._http.get(f"{self._base}/query", params={"query": "ASK {}"})
                return
            await asyncio.sleep(0.03)
        await self._end_child()
        raise SparqlUnavailable(f"Oxigraph did not answer within {_START_S:.0f} s of its start")

    async def _load(self, now: dt.datetime) -> None:
        count = self._archive.visible(now)
        text = await asyncio.to_thread(self._dump, now)
        headers = {"Content-Type": "application/n-triples"}
        answer = await self._http.post(f"{self._base}/store?default", content=text, headers=headers)
        if answer.is_error:
            raise SparqlUnavailable(f"Oxigraph refused the items: {answer.text[:200]}")
        self._applied, self._at = count, now

    def _dump(self, now: dt.datetime) -> bytes:
        lines: set[str] = set()
        scenario = self._archive.scenario
        created = {edit.item for edit in scenario.edits if edit.item not in scenario.initial}
        for item in (*scenario.initial, *sorted(created)):
            if head := self._archive.head(item, now):
                lines |= rdf.triples(head) | rdf.reference_triples(head)
        return "\n".join(sorted(lines)).encode()

    async def _catch_up(self, now: dt.datetime) -> None:
        """Apply what differs between the loaded state and now, in either direction of time."""
        count = self._archive.visible(now)
        if count == self._applied or self._at is None:
            return
        gone: set[str] = set()
        come: set[str] = set()
        for item in self._archive.changed_items(self._applied, count):
            before, after = self._archive.head(item, self._at), self._archive.head(item, now)
            gone |= rdf.triples(before) if before else set()
            come |= rdf.triples(after) | rdf.reference_triples(after) if after else set()
        stays = gone & come
        out, into = "\n".join(sorted(gone - stays)), "\n".join(sorted(come - stays))
        update = f"DELETE DATA {{\n{out}\n}};\nINSERT DATA {{\n{into}\n}}"
        headers = {"Content-Type": "application/sparql-update"}
        answer = await self._http.post(
            f"{self._base}/update", content=update.encode(), headers=headers
        )
        if answer.is_error:
            raise SparqlUnavailable(f"Oxigraph refused an update: {answer.text[:200]}")
        self._applied, self._at = count, now

    async def _end_child(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 3)
        except TimeoutError:
            process.kill()
            await process.wait()


def _binary() -> str:
    """The `oxigraph` program of this environment, or of the path."""
    beside = Path(sys.executable).with_name("oxigraph")
    found = str(beside) if beside.exists() else shutil.which("oxigraph")
    if not found:
        raise SparqlUnavailable("there is no `oxigraph` program; install the package `oxigraph`")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
