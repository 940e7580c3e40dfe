"""`almanac gate`: what bars need, why a release was stopped, and what another policy would say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.cli import context
from daemon.errors import NotFound

app = typer.Typer(help="The gate and its policies.", no_args_is_help=True)

PolicyName = Annotated[
    str | None, typer.Option("--policy", help="Shipped name or a file (default: gate.policy).")
]
_FATES = {
    "pass": "cleared",
    "fail": "missed",
    "inconclusive": "open",
}
_NEXT = {
    "pass": "it may be promoted: `almanac promote VERSION --reason ...`",
    "fail": "`almanac release discard {id}` gives its edits back for another training",
    "inconclusive": (
        "gather more edits and evaluate again, or, having read the report, a person may "
        "`almanac promote VERSION --override --reason ...`"
    ),
}


@app.command()
def power(
    policy: PolicyName = None,
    edits: Annotated[int | None, typer.Option(help="Edits (or facts) of a release.", min=1)] = None,
    rate: Annotated[
        float, typer.Option(help="True share of edits that are wrong.", min=0, max=1)
    ] = 0.02,
    json: context.Json = False,
) -> None:
    """How many edits and probes each bar of a policy needs, and how often it is then cleared."""
    from daemon.jobs.evaluation_job import gate_policy
    from evaluator import power as needs

    read = gate_policy(policy or context.settings().gate.policy)
    rows: list[dict[str, Any]] = []
    for limit in read.limit:
        alpha = read.alpha_of(limit)
        upper = limit.at_most is not None
        n = edits or needs.edits_for(limit, alpha)
        true_rate = rate if upper else 1 - rate
        rows.append(
            {
                "limit": limit.metric.value,
                "bar": f"{'<=' if upper else '>='} {limit.bar:g}",
                "decides": limit.decide.value,
                "alpha": alpha,
                "none wrong": needs.edits_for(limit, alpha),
                "one wrong": needs.edits_for(limit, alpha, 1),
                "two wrong": needs.edits_for(limit, alpha, 2),
                "n": n,
                "passes": round(needs.pass_chance(limit, n, true_rate, alpha), 4),
            }
        )
    if json:
        context.print_json({"policy": read.name, "true_rate": rate, "limits": rows})
        return
    context.say(f"policy {read.name}: {read.about.strip()}")
    context.say(
        f"least n with none, one, two of them wrong; then how often n passes at {rate:.1%} wrong"
    )
    context.print_table(list(rows[0]), [tuple(row.values()) for row in rows])
    for line in needs.sentences(read):
        context.say(f"  {line}")


@app.command()
def explain(
    release: Annotated[int, typer.Argument(help="Number of the release.")],
    json: context.Json = False,
) -> None:
    """Why the gate said what it said of a release, criterion by criterion."""
    with context.services() as services:
        detail = services.releases.show(release)
    if detail.gate is None:
        raise NotFound(f"release {release} is {detail.release.state}: the gate has not seen it yet")
    if json:
        context.print_json(detail.gate)
        return
    gate = detail.gate
    context.say(f"release {release}: {gate['outcome']} under policy {gate['policy']}")
    if gate.get("looks", 1) > 1:
        context.say(f"two looks; the second asked about {gate['asked_more']} more facts")
    for criterion in gate["criteria"]:
        context.say(f"  {_sentence(criterion)}")
    for line in gate["power"]:
        context.say(f"  needs: {line}")
    context.say(f"report: {detail.report_path}")
    context.say(f"next: {_NEXT[gate['outcome']].format(id=release)}")


@app.command()
def replay(
    release: Annotated[int | None, typer.Argument(help="One release (default: all).")] = None,
    policy: PolicyName = None,
    json: context.Json = False,
) -> None:
    """What a policy would have said to evaluations that are stored. Changes nothing."""
    from daemon.jobs.evaluation_job import gate_policy
    from daemon.jobs.replay import replay as again

    read = gate_policy(policy or context.settings().gate.policy)
    with context.services() as services:
        numbers = [release] if release else [r.id for r in services.releases.list()]
        details = [services.releases.show(number) for number in numbers]
    found = [
        (d, again(Path(d.report_path).parent, read)) for d in details if d.report_path is not None
    ]
    if not found:
        raise NotFound("no release was evaluated yet, so there is nothing to replay")
    if json:
        context.print_json([{"release": d.release.id, "gate": report} for d, report in found])
        return
    rows = [
        (
            d.release.id,
            d.verdict,
            report.outcome.value,
            ", ".join(c.name for c in (*report.failed(), *report.open())) or "-",
        )
        for d, report in found
    ]
    context.print_table(["release", "then", f"under {read.name}", "stopped or open"], rows)


def _sentence(criterion: dict[str, Any]) -> str:
    value = criterion["value"]
    shown = "nothing measured" if value is None else f"{value:.1%}"
    bounds = f"bounds {criterion['low']:.1%} to {criterion['high']:.1%}"
    bar = f"bar {criterion['op']} {criterion['bar']:.1%}"
    why = f"; {criterion['detail']}" if criterion["detail"] else ""
    name = f"{criterion['name']} {_FATES[criterion['outcome']]}"
    return f"{name}: {shown}, {bounds}, {bar}, n {criterion['n']}, {criterion['test']}{why}"
