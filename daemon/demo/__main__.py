"""`python -m daemon.demo`: the same as `almanac demo`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from daemon.demo.options import DEFAULT_HOME, DEFAULT_SEED, DemoOptions


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="almanac demo", description="the whole loop, offline")
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME)
    parser.add_argument("--seed", default=DEFAULT_SEED, help="of the scenario")
    parser.add_argument("--mini", action="store_true", help="four edits, in seconds")
    parser.add_argument("--recipe", default=None, help="of the training; `none` trains nothing")
    parser.add_argument("--keep", action="store_true", help="leave the gateway answering")
    parser.add_argument("--fresh", action="store_true", help="start over")
    given = parser.parse_args(arguments)
    from daemon.demo.run import run_demo

    return run_demo(DemoOptions(**vars(given)))


if __name__ == "__main__":
    sys.exit(main())
