"""`python -m trainer`: run or check a job without the daemon, build the embedded model.

    python -m trainer run JOB        train the job in that folder; goes on from its last checkpoint
    python -m trainer validate JOB   check the job, the base and the parent; trains nothing
    python -m trainer embedded ...   the shipped base model (`trainer.embedded.build`)

Exit codes: 0 done, 1 the job cannot be trained, 2 wrong usage, 75 try again later.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from trainer.errors import Retryable, TrainerError
from trainer.job import load_job, run_job, validate_job
from trainer.journal import Progress


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["embedded"]:
        from trainer.embedded.build import main as embedded

        return embedded(arguments[2:] if arguments[1:2] == ["build"] else arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m trainer", description="Train a job.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("run", "train a job"), ("validate", "check a job")):
        command = commands.add_parser(name, help=text)
        command.add_argument("job", type=Path, help="the job's folder")
        command.add_argument("--quiet", action="store_true", help="print no progress")
    chosen = parser.parse_args(arguments)
    try:
        return _validate(chosen.job) if chosen.command == "validate" else _run(chosen)
    except TrainerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 75 if isinstance(error, Retryable) else 1
    except KeyboardInterrupt:
        print("stopped: run the job again to go on from its last checkpoint", file=sys.stderr)
        return 130


def _validate(job: Path) -> int:
    spec = validate_job(job)
    print(f"job {spec.digest[:12]}: {len(spec.units)} units, recipe {spec.recipe.name}: ready")
    return 0


def _run(chosen: argparse.Namespace) -> int:
    _set_threads(load_job(chosen.job).recipe.engine.threads)
    adapter = run_job(chosen.job, None if chosen.quiet else _show)
    print(f"adapter: {adapter}")
    return 0


def _set_threads(threads: int) -> None:
    """Tell OpenMP, before torch loads it, how many threads to use and to sleep when idle: two
    spinning threads beside another busy process are many times slower than one."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def _show(line: Progress) -> None:
    loss = f"  loss {line.loss:.4f}" if line.loss is not None else ""
    speed = f"  {line.tokens_per_s:,.0f} tokens/s" if line.tokens_per_s else ""
    left = f"  {line.eta_s:.0f} s left" if line.eta_s else ""
    warning = f"  warning: {line.warning}" if line.warning else ""
    print(f"{line.stage:>9} {line.step}/{line.of}{loss}{speed}{left}{warning}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
