"""The command line: `almanac`. One module a noun; every command is a call of a service.

Owns arguments, tables and exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings.
Importing this package loads neither torch, vllm nor langgraph.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agents.errors import AgentError
from daemon.cli import (
    account,
    bench,
    curate,
    evaluation,
    gate,
    keys,
    moving,  # noqa: F401  (its commands stand at the root)
    registry,
    release,
    review,
    service,
    watch,
    watching,  # noqa: F401  (its commands stand beside those of watch, and at the root)
)
from daemon.cli.context import app, console_error
from daemon.errors import AlmanacError, ConfigError, NewerDatabaseError
from evaluator.errors import EvaluatorError

__all__ = ["app", "main"]

app.add_typer(watch.app, name="watch")
app.add_typer(curate.app, name="curate")
app.add_typer(review.app, name="review")
app.add_typer(account.app, name="account")
app.add_typer(release.app, name="release")
app.add_typer(registry.app, name="registry")
app.add_typer(evaluation.app, name="eval")
app.add_typer(gate.app, name="gate")
app.add_typer(keys.app, name="key")
app.add_typer(bench.app, name="bench")
app.add_typer(service.config_app, name="config")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; always ends with SystemExit."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except (AgentError, EvaluatorError) as error:
        console_error(str(error))
        sys.exit(1)
    except AlmanacError as error:
        console_error(str(error))
        sys.exit(2 if isinstance(error, (ConfigError, NewerDatabaseError)) else 1)
