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
from daemon.sections import UpstreamKind
from daemon.serving.access import access_of
from daemon.serving.batching import Batcher
from daemon.serving.embedded_upstream import EmbeddedUpstream
from daemon.serving.gateway import Gateway, Limits
from daemon.serving.process import serve
from daemon.serving.source import RegistrySource
from daemon.serving.upstream import Upstream
from daemon.serving.vllm import VllmUpstream
from daemon.stopping import leave
from daemon.store.engine import SERVER_PATIENCE_S, Database


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
    """Serve until told to stop, then end the process. Raises ConfigError, also for a base model
    that cannot be read."""
    signal.signal(signal.SIGTERM, _leave)  # until it answers: reading a model may take long
    chosen = settings.gateway
    access = access_of(settings.home, chosen.host, public=chosen.public)
    listening = listen(chosen.host, chosen.port, "gateway.port")
    database = Database.open(settings.database_url, patience_s=SERVER_PATIENCE_S)
    try:
        upstream, base_digest = _upstream(settings)
        clock = clock_of(settings)
        source = RegistrySource(
            database,
            Registry(database, Blobs(settings.blobs), clock, served=chosen.alias),
            clock,
            alias=chosen.alias,
            base_digest=base_digest,
            base=settings.model.base,
        )
        gateway = Gateway(
            upstream,
            source,
            alias=chosen.alias,
            access=access,
            limits=Limits(timeout_s=chosen.timeout_s, log_prompts=chosen.log_prompts),
            capacity=chosen.adapters,
        )
        serve(gateway, listening, settings.home)
    finally:
        database.close()
        listening.close()
    leave()  # without waiting for a thread that hashes an adapter


def _upstream(settings: Settings) -> tuple[Upstream, str]:
    """What answers, and the digest of its base model."""
    chosen, base = settings.gateway, settings.model.base
    if chosen.upstream is UpstreamKind.VLLM:
        from trainer.fingerprint import base_digest

        upstream = VllmUpstream(
            chosen.vllm_url, base, max_in_flight=chosen.max_running + chosen.max_queue
        )
        return upstream, base_digest(base)
    from daemon.serving.embedded import EmbeddedEngine  # loads torch

    engine = EmbeddedEngine.load(base, threads=settings.jobs.threads)
    batcher = Batcher(engine, max_running=chosen.max_running, max_queue=chosen.max_queue)
    return EmbeddedUpstream(batcher), engine.base_digest


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
