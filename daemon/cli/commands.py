"""All commands, put on the root application. Importing this module is what makes them known.

Loads neither torch, vllm nor langgraph.
"""

from __future__ import annotations

from daemon.cli import (
    account,
    bench,
    curate,
    evaluation,
    gate,
    job,
    keys,
    moving,  # noqa: F401  (its commands stand at the root)
    operate,
    registry,
    release,
    review,
    service,
    watch,
    watching,  # noqa: F401  (its commands stand beside those of watch, and at the root)
)
from daemon.cli.context import app

app.add_typer(watch.app, name="watch")
app.add_typer(curate.app, name="curate")
app.add_typer(review.app, name="review")
app.add_typer(account.app, name="account")
app.add_typer(release.app, name="release")
app.add_typer(job.app, name="job")
app.add_typer(registry.app, name="registry")
app.add_typer(evaluation.app, name="eval")
app.add_typer(gate.app, name="gate")
app.add_typer(keys.app, name="key")
app.add_typer(bench.app, name="bench")
app.add_typer(service.config_app, name="config")
app.add_typer(operate.schedule_app, name="schedule")
app.add_typer(operate.dead_app, name="dead")
app.add_typer(operate.db_app, name="db")
