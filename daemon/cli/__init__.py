"""The command line: `almanac`. One module a noun; every command is a call of a service.

Owns arguments, tables and exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings.
Importing this package loads neither torch, vllm nor langgraph.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module

from sqlalchemy.exc import DBAPIError

from agents.errors import AgentError
from daemon.cli.context import app, console_error
from daemon.errors import AlmanacError, ConfigError, NewerDatabaseError
from daemon.store import trouble
from evaluator.errors import EvaluatorError

__all__ = ["app", "main"]

_WITH_VALUE = ("--config", "--set")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; always ends with SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # A rollback is given in haste: it does not wait for the modules of all other commands.
    import_module(f"daemon.cli.{'moving' if command_of(given) == 'rollback' else 'commands'}")
    if not gc.isenabled():  # what was loaded stays to the end: collections pass it by
        gc.freeze()
        gc.enable()
    try:
        app(args=given)
    except (AgentError, EvaluatorError) as error:
        console_error(str(error))
        sys.exit(1)
    except AlmanacError as error:
        console_error(str(error))
        sys.exit(2 if isinstance(error, (ConfigError, NewerDatabaseError)) else 1)
    except DBAPIError as error:
        if not trouble.is_of_the_database(error):
            raise  # a fault of ours: where it happened has to be seen
        console_error(trouble.told(error))
        sys.exit(1)


def command_of(arguments: Sequence[str]) -> str | None:
    """The first argument that is neither a root option nor the value of one."""
    waiting = iter(arguments)
    for argument in waiting:
        if argument in _WITH_VALUE:
            next(waiting, None)
        elif not argument.startswith("-"):
            return argument
    return None
