"""The command line: `almanac`. One module a noun; every command is a call of a service.

Owns arguments, tables and exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings.
Importing this package loads neither torch, vllm nor langgraph.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from sqlalchemy.exc import DBAPIError

from agents.errors import AgentError
from daemon.cli import context
from daemon.cli.context import app, console_error
from daemon.errors import AlmanacError, ConfigError, NewerDatabaseError
from daemon.store import trouble
from evaluator.errors import EvaluatorError

__all__ = ["app", "main"]

_ALONE = {"rollback": "moving", "up": "service"}
"""A rollback is given in haste, and a service that was ended shall be back soon: neither waits for
the modules of all other commands."""
_WITH_VALUE = ("--config", "--set")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; always ends with SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = command_of(given)
    import_module(f"daemon.cli.{_ALONE.get(command or '', 'commands')}")
    if command != "up":  # which loads much more, and then says so itself
        context.loading_is_over()
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
        elif argument == "--help":
            return None  # of all commands, whatever follows
        elif not argument.startswith("-"):
            return argument
    return None
