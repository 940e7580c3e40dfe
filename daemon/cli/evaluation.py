"""`almanac eval`: judge result folders, evaluate a version again, show and compare figures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon import config
from daemon.cli import context
from daemon.errors import ConfigError, JobFailed, NotFound
from daemon.services import Services

app = typer.Typer(help="Evaluations of versions, and of any result folder.", no_args_is_help=True)

Version = Annotated[str, typer.Argument(help="Number, `base`, or a digest's beginning.")]


@app.command()
def judge(
    path: Annotated[Path, typer.Argument(help="Result folder, report.json or metrics.json.")],
    judge_model: Annotated[
        str | None, typer.Option(help="Judge by this model (default: by the rules).")
    ] = None,
    judge_endpoint: Annotated[
        str | None, typer.Option(help="Its OpenAI-compatible URL (default: judge.endpoint).")
    ] = None,
    self_refute: Annotated[
        bool, typer.Option("--self-refute", help="Also count self-refutation.")
    ] = False,
    why: Annotated[bool, typer.Option("--why", help="Also compare causes.")] = False,
    json: context.Json = False,
) -> None:
    """Judge outputs that are there: Almanac's, or the reference implementation's. Resumable."""
    from daemon.jobs.judging import llm_judge
    from evaluator import rejudge
    from evaluator.judge import RuleJudge

    results = rejudge.read_results(path)
    folder = rejudge.folder_of(path)
    if judge_model:
        settings = context.settings().judge
        endpoint = judge_endpoint or settings.endpoint
        if not endpoint:
            raise ConfigError(
                "--judge-model needs an endpoint: --judge-endpoint URL, or set judge.endpoint"
            )
        key = settings.api_key.get_secret_value() if settings.api_key else None
        chosen: Any = llm_judge(endpoint, judge_model, key, folder / rejudge.JUDGEMENTS)
    else:
        chosen = RuleJudge()
    rows, summary = rejudge.judge_results(results, chosen, refute=self_refute, why=why)
    written = rejudge.write_judged(folder, rows, summary)
    if json:
        context.print_json(summary)
    else:
        context.say(f"{summary['outputs']} outputs judged by {summary['judge']}: {written}")
        _print_figures(summary["almanac"])
        _print_reference(summary.get("reference"))
    if summary["errors"]:
        context.console_error(
            f"{summary['errors']} outputs have no verdict and count in no figure; run the same "
            "command again, it asks only for these"
        )
        raise typer.Exit(1)


@app.command()
def run(
    version: Version,
    against: Annotated[
        str | None, typer.Option(help="Version to compare with (default: the one it started from).")
    ] = None,
    json: context.Json = False,
) -> None:
    """Evaluate a version again, as a release would be; the alias and its verdict stay as they are.

    Answers that are stored are not generated again. A run that was ended goes on.
    """
    from daemon.controllers.evaluate import plan_evaluation
    from daemon.jobs.evaluation_job import RESULT, create_job

    settings = context.settings()
    with context.services() as services:
        registry = services.registry
        found = registry.resolve(version)
        if found.digest is None:
            raise NotFound("the base model was taught nothing: name another version")
        other = registry.resolve(against).digest if against else found.parent
        spec = plan_evaluation(
            registry,
            settings,
            candidate=found.digest,
            production=other,
            units=registry.units(found.digest),
            live=registry.live_units(found.parent),
        )
    name = f"eval-{found.digest[:12]}-{(other or 'base')[:12]}-{Path(spec.policy).stem}"
    folder = (settings.job_folder / name).resolve()
    create_job(folder, spec)
    _run_job(folder, config.to_environment(settings))
    result = folder / RESULT
    report = (result / "report.md").read_text(encoding="utf-8")
    if json:
        context.print_json({"version": found.number, "folder": str(result)})
    else:
        context.say(report)
        context.say(f"report: {result / 'report.html'}")


@app.command()
def show(version: Version, json: context.Json = False) -> None:
    """The figures of a version's latest evaluation."""
    with context.services() as services:
        number, evaluation, verdict, report = _evaluation(services, version)
    candidate = evaluation["metrics"]["candidate"]
    if json:
        context.print_json({"version": number, "verdict": verdict, "metrics": candidate})
        return
    context.say(f"version {number}: {verdict} under {evaluation['policy']}; report: {report}")
    _print_figures(candidate)


@app.command()
def compare(first: Version, second: Version, json: context.Json = False) -> None:
    """Two versions side by side, by their latest evaluations."""
    with context.services() as services:
        a, b = _evaluation(services, first), _evaluation(services, second)
    ours, theirs = a[1]["metrics"]["candidate"], b[1]["metrics"]["candidate"]
    same = a[1]["suite"] == b[1]["suite"]
    if json:
        pairs = {name: [ours[name]["value"], theirs[name]["value"]] for name in ours}
        context.print_json({"versions": [a[0], b[0]], "same_suite": same, "metrics": pairs})
        return
    rows = [
        (name, _figure(ours[name]), _figure(theirs.get(name)), _difference(ours, theirs, name))
        for name in ours
    ]
    context.print_table(["metric", f"v{a[0]}", f"v{b[0]}", "difference"], rows)
    if not same:
        context.say(
            "each was examined with the suite of its own release, so differences mix the versions "
            "with the questions; `almanac eval run V1 --against V2` asks both the same"
        )


def _run_job(folder: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "daemon.jobs.evaluate", str(folder)]
    done = subprocess.run(command, env={**os.environ, **environment}, check=False)
    if done.returncode:
        raise JobFailed(
            f"the evaluation in {folder} ended with status {done.returncode}; mend what it says "
            "and run the command again, it goes on"
        )


def _evaluation(services: Services, name: str) -> tuple[int, dict[str, Any], str, str | None]:
    found = services.registry.resolve(name)
    row = services.registry.evaluation(found.digest) if found.digest else None
    if row is None:
        raise NotFound(f"version {found.number} was never evaluated")
    return found.number, row.evaluation, row.verdict, row.report_path


def _figure(estimate: dict[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return "-"
    bounds = f"{estimate['low']:.1%} to {estimate['high']:.1%}"
    return f"{estimate['value']:.1%} ({bounds}, n {estimate['n']})"


def _difference(ours: dict[str, Any], theirs: dict[str, Any], name: str) -> str:
    pair = [side.get(name, {}).get("value") for side in (ours, theirs)]
    return "-" if None in pair else f"{100 * (pair[1] - pair[0]):+.1f} pts"


def _print_figures(metrics: dict[str, Any]) -> None:
    context.print_table(["metric", "value"], [(k, _figure(v)) for k, v in metrics.items()])


def _print_reference(summary: dict[str, Any] | None) -> None:
    if summary is None:
        return
    rows: list[tuple[str, object]] = [
        ("H-Acc (overall_hop_wise_average)", summary["overall_hop_wise_average"]),
        ("M-Acc (accuracy_averages.qa)", summary["accuracy_averages"]["qa"]),
        ("any_right_accuracy", summary["any_right_accuracy"]),
    ]
    for name, found in summary.get("self_refutation", {}).items():
        rows.append((f"SRR: {name}", f"{found['true']} of {found['edits']}"))
    if "rewrite_why" in summary:
        rows.append(("rewrite_why consistency", summary["rewrite_why"]["consistency"]))
    context.print_table(["the reference's figure", "value"], rows)
