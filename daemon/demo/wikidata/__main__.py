"""`python -m daemon.demo.wikidata`: serve a scenario on loopback until told to stop."""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from daemon.demo.wikidata.errors import LocalWikidataError
from daemon.demo.wikidata.lifeline import end_with_parent
from daemon.demo.wikidata.scenario import build_scenario
from daemon.demo.wikidata.server import DEFAULT_RETENTION, LocalWikidata
from daemon.demo.wikidata.streaming import ConnectionCut
from knowledge.world import WORLD_CSV, World


def main(argv: list[str] | None = None) -> int:
    """Build the scenario and serve it. Prints one line when it listens; returns an exit code."""
    asked = _parser().parse_args(argv)
    if asked.end_with_parent:
        end_with_parent(signal.SIGTERM)
    successions = tuple(asked.slots.split(",")) if asked.slots else asked.successions
    try:
        world = World.load(asked.world)
        scenario = build_scenario(world, asked.seed, successions, asked.noise)
        served = LocalWikidata(
            scenario,
            asked.clock_file,
            retention=dt.timedelta(days=asked.retention_days),
            cut_stream_after=asked.cut_after,
        )
        listening = bound(asked.host, asked.port)
    except (LocalWikidataError, OSError) as error:
        print(f"local wikidata: {error}", file=sys.stderr)
        return 1
    serve(served, listening)
    return 0


def serve(served: LocalWikidata, listening: socket.socket) -> None:
    """Until a signal. Prints one line when it listens."""
    quiet_cuts()
    host, port = listening.getsockname()[:2]
    scenario = served.scenario
    print(
        f"local wikidata: http://{host}:{port} (seed {scenario.seed}, {len(scenario.edits)} edits)",
        flush=True,
    )
    config = uvicorn.Config(
        served.app(), log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run(sockets=[listening])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="daemon.demo.wikidata", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--clock-file", type=Path, help="holds an ISO timestamp; none: the end")
    parser.add_argument("--successions", type=int, default=40)
    parser.add_argument("--slots", default="", help="`Q1:P6,Q2:P35` instead of a number")
    parser.add_argument("--noise", type=int, default=2000)
    parser.add_argument("--world", type=Path, default=WORLD_CSV)
    parser.add_argument("--cut-after", type=int, default=0, help="events per stream; 0: no cuts")
    parser.add_argument("--end-with-parent", action="store_true", help="stop when it is gone")
    parser.add_argument("--retention-days", type=float, default=DEFAULT_RETENTION.days)
    return parser


def bound(host: str, port: int) -> socket.socket:
    """A bound socket; OSError names the address when it is taken."""
    # asyncio sends answers without Nagle's delay only where the protocol is named
    made = socket.socket(proto=socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(128)  # callers that come before the server is ready wait
    except OSError as error:
        made.close()
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return made


def quiet_cuts() -> None:
    """A cut on purpose is no error to report."""

    def wanted(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, ConnectionCut)

    logging.getLogger("uvicorn.error").addFilter(wanted)
    # asyncio warns of every message to a client that has gone, by the thousand; a pipe that nobody
    # reads would be full of it, and the server would stand still.
    logging.getLogger("asyncio").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
