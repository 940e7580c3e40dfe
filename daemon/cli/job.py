"""`almanac job`: the training and evaluation jobs of this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from daemon.cli import context
from daemon.errors import Conflict
from daemon.jobs.listing import JobFolders
from daemon.jobs.supervisor import JobState

app = typer.Typer(help="Training and evaluation jobs of this machine.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the job, or how it begins.")]


@app.command("list")
def list_jobs(json: context.Json = False) -> None:
    """Every job whose folder is still there, and how far it is."""
    jobs = JobFolders(context.settings().job_folder).list()
    if json:
        context.print_json(jobs)
        return
    rows = [(j.name, j.release, j.state, _progress(j.progress), j.silent_s) for j in jobs]
    context.print_table(["job", "release", "state", "progress", "silent (s)"], rows)


@app.command("log")
def show_log(
    job: Name,
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = 50,
    json: context.Json = False,
) -> None:
    """What a job has written."""
    found = JobFolders(context.settings().job_folder).log(job, lines)
    if json:
        context.print_json({"lines": found})
        return
    for line in found:
        context.say(line)


@app.command()
def cancel(
    job: Name,
    reason: Annotated[str, typer.Option(help="Why.")],
    actor: context.Actor = context.ME,
    json: context.Json = False,
) -> None:
    """Give up the release of a job: its worker ends the job, its edits wait for the next one."""
    found = JobFolders(context.settings().job_folder).find(job)
    if found.state is JobState.FINISHED:
        raise Conflict(
            f"{found.name} has finished; `almanac release discard {found.release}` gives its "
            "release up"
        )
    with context.services() as services:
        services.releases.discard(found.release, actor=actor, reason=reason)
    if json:
        context.print_json({"cancelled": found.name, "discarded": found.release})
    else:
        context.say(f"release {found.release} is discarded; its worker ends {found.name}")


def _progress(line: dict[str, Any] | None) -> str:
    return f"{line['stage']}, {line['step']} of {line['of']}" if line else "-"
