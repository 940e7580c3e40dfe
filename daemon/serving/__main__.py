"""`python -m daemon.serving [--config PATH] [--set KEY=VALUE]...`: the gateway process.

Binds first, so that a busy port is told before a model is read; exit status 2 with one line for
anything that a person must mend.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from daemon import config, log
from daemon.clock import clock_of
from daemon.config import Settings
from daemon.errors import AlmanacError
from daemon.listening import listen
from daemon.registry.blobs import Blobs
from daemon.registry.service import Registry
from daemon.serving.batching import Batcher
from daemon.serving.gateway import Gateway
from daemon.serving.process import serve
from daemon.serving.source import RegistrySource
from daemon.store.engine import Database


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m daemon.serving", description=__doc__)
    parser.add_argument("--config", type=Path, default=None, help="settings file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="flags")
    options = parser.parse_args(arguments)
    try:
        settings = config.load(options.config, options.flags).settings
        log.set_up(settings.log)
        settings.require_base_model()
        run(settings)
    except AlmanacError as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def run(settings: Settings) -> None:
    """Serve until told to stop. Raises ConfigError, also for a base model that cannot be read."""
    signal.signal(signal.SIGTERM, _leave)  # what uvicorn re-raises at its end must not skip ours
    listening = listen(settings.gateway.host, settings.gateway.port, "gateway.port")
    database = Database.open(settings.database_url)
    try:
        from daemon.serving.embedded import EmbeddedEngine  # loads torch

        engine = EmbeddedEngine.load(settings.model.base, threads=settings.jobs.threads)
        clock = clock_of(settings)
        source = RegistrySource(
            database,
            Registry(database, Blobs(settings.blobs), clock, served=settings.gateway.alias),
            clock,
            alias=settings.gateway.alias,
            base_digest=engine.base_digest,
        )
        gateway = Gateway(Batcher(engine), source, alias=settings.gateway.alias)
        serve(gateway, listening, settings.home)
    finally:
        database.close()
        listening.close()


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
