"""Structured logs: JSON lines in service, coloured text on a terminal. Owns only the set-up.

Modules take a logger with `structlog.get_logger()`; ids (`change_id`, `release_id`, `adapter`, ...)
are bound to the line, never formatted into the text.
"""

from __future__ import annotations

import logging
import sys

import structlog

from daemon.sections import LogSettings, LogStyle

_QUIET = ("httpx", "httpx2", "httpcore", "httpcore2", "uvicorn.access", "alembic")


def set_up(settings: LogSettings) -> None:
    """Send every log line, ours and the libraries', to stderr in one form."""
    style = settings.style
    if style is LogStyle.AUTO:
        style = LogStyle.CONSOLE if sys.stderr.isatty() else LogStyle.JSON
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if style is LogStyle.JSON:
        last += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        last += [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # skipped ticks are the plan
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
