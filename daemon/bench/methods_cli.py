"""`almanac bench methods`: one method over an edit set, as users of the reference run it.

    almanac bench methods --method code --datatype report --batch-edit 12
    almanac bench methods --method code-noncausal --datatype cases.json --hop 2 --max-cases 50

Owns the options (the reference's names work too) and the run's output folder. Cases are kept as
they are measured: the same command goes on where it was cut.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from daemon.bench.arms import ARMS, Arm, arm_of
from daemon.bench.case_runs import CaseRuns, Outcome
from daemon.bench.edit_sets import EditCase, world_cases
from daemon.bench.method_table import write_table
from daemon.bench.mquake_sets import file_cases
from daemon.bench.pooling import pool
from daemon.bench.result_folder import run_folder, write_results
from daemon.bench.weights import bench_base
from evaluator.errors import EvaluatorError
from knowledge.mquake import MquakeError
from knowledge.world import Split
from trainer.errors import TrainerError
from trainer.recipe import Method, Recipe

_LARGEST_BATCH = 90
_SPLITS = ("tune", "report", "spare")


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit code: 0 done, 1 refused, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    try:
        return _run(options)
    except (TrainerError, EvaluatorError, MquakeError, OSError, ValueError) as error:
        print(f"almanac: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="almanac bench methods", description=__doc__)
    add = parser.add_argument
    names = ", ".join(arm.method for arm in ARMS)
    add("--method", "--editing_method", required=True, help=f"one of {names}")
    add(
        "--datatype",
        default="report",
        help=f"a split of the table ({', '.join(_SPLITS)}) or a file of MQuAKE records",
    )
    add("--base", "--model_type", type=Path, default=bench_base(), help="folder of the base model")
    add("--recipe", "--hparams_path", help="recipe by name or path (default: the method's own)")
    add("--hop", type=int, help="only cases of so many hops")
    add("--batch-edit", "--batch_edit", type=int, default=0, help="edits an adapter (0: a case)")
    add("--max-cases", "--max_cases", type=int, default=200, help="at most so many cases")
    add("--skip-cases", "--skip_cases", type=int, default=0, help="leave out the first ones")
    add("--seed", "--shuffle_seed", type=int, default=70, help="order of the cases, and training")
    add("--tag", "--exp_tag", default="", help="names the run's folder")
    add("--run-id", "--run_id", default="run", help="last part of the run's folder")
    add("--output-root", "--output_root", type=Path, default=Path("output/experiments"))
    add("--no-skills", action="store_true", help="do not measure general skills")
    return parser


def _run(options: argparse.Namespace) -> int:
    if not 0 <= options.batch_edit <= _LARGEST_BATCH:
        raise ValueError(f"--batch-edit takes 1 to {_LARGEST_BATCH} edits, or 0 for one case each")
    arm = arm_of(options.method, options.recipe)
    recipe = _recipe(arm)
    cases = _cases(options, arm)
    if not cases:
        raise ValueError("no case is left: look at --hop, --max-cases and --skip-cases")
    root: Path = options.output_root
    runs = CaseRuns(options.base, root / "cases", capability=not options.no_skills)
    outcomes: list[Outcome] = []
    for number, case in enumerate(cases, 1):
        outcomes.append(runs.outcome(recipe, case, options.seed))
        print(f"case {number}/{len(cases)}: {case.name}", flush=True)
    folder = run_folder(
        root,
        datatype=Path(options.datatype).stem,
        model=options.base.resolve().name,
        method=arm.method,
        tag=options.tag or recipe.name,
        cases=len(cases),
        batch=options.batch_edit,
        seed=options.seed,
        run_id=options.run_id,
    )
    given = {name: str(value) for name, value in vars(options).items() if value is not None}
    info = {"hparams": recipe.model_dump(mode="json"), "recipe_digest": recipe.digest}
    write_results(folder, cases, outcomes, arguments=given, info=info)
    write_table([pool(outcomes)], folder / "table.html", f"{arm.method} on {options.datatype}")
    print(f"results: {folder}")
    return 0


def _recipe(arm: Arm) -> Recipe:
    recipe = arm.load()
    if recipe.method is not arm.method:
        raise ValueError(
            f"recipe {arm.recipe} is of method {recipe.method}, not {arm.method}: "
            f"name the method that it is of"
        )
    return recipe


def _cases(options: argparse.Namespace, arm: Arm) -> tuple[EditCase, ...]:
    if options.datatype in _SPLITS:
        if options.hop is not None:
            raise ValueError("--hop is of MQuAKE files; a split of the table has all its hops")
        cases = world_cases(
            Split(options.datatype), options.batch_edit or 1, with_cake=arm.with_cake
        )
        return cases[: options.max_cases][options.skip_cases :]
    path = Path(options.datatype)
    if not path.is_file():
        raise ValueError(f"{path} is no file of MQuAKE records, and no split of the table")
    return file_cases(
        path,
        batch=options.batch_edit,
        articles=arm.method not in (Method.CODE_NONCAUSAL, Method.STATIC_LORA, Method.CAKE),
        hop=options.hop,
        seed=options.seed,
        most=options.max_cases,
        skip=options.skip_cases,
    )
