"""The last act: the same questions to every version, and everything measured put together.

Owns `result.json` and what is asked of the gateway for it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import TypeAdapter

from daemon.demo import document, measuring
from daemon.demo.asking import Asker, is_right, plain_question
from daemon.demo.finding import found
from daemon.demo.notes import Notes
from daemon.demo.options import DemoOptions
from daemon.demo.progress import Narrator
from daemon.demo.result import DemoResult, Rolled, Shown
from daemon.demo.rolling import promoted, units_of
from daemon.demo.wikidata.scenario import Scenario
from daemon.registry.releases import Release
from daemon.services import Services
from daemon.serving.versions import MODEL
from knowledge.edits import EditUnit

RESULT_FILE = "result.json"


def close(
    services: Services,
    scenario: Scenario,
    options: DemoOptions,
    asker: Asker,
    notes: Notes,
    narrator: Narrator,
) -> DemoResult:
    """Ask, compare, and write `result.json` and `report.html`. Blocks."""
    every = [measuring.examined(services, release) for release in services.releases.list()]
    examined = [one for one in every if one is not None]
    releases = promoted(services)
    with narrator.stage("ask", "Asking before and after") as stage:
        shown = [
            _shown(asker, release, unit)
            for release in releases
            for unit in units_of(services, release)
        ]
        stage.note = f"{sum(s.right_after for s in shown)} of {len(shown)} right"
    result = DemoResult(
        seed=options.seed,
        recipe=options.chosen_recipe,
        found=found(services, scenario),
        verdicts=tuple(one.gate.outcome.value for one in examined),
        promoted=len(releases),
        wanted=options.size.releases,
        shown=tuple(shown),
        measures=measuring.measures(examined) if examined else (),
        criteria=measuring.criteria(examined),
        rolled=_rolled(services, asker, notes, releases),
        took_s=narrator.took_s,
    )
    _save(options.home / RESULT_FILE, result)
    if examined:
        document.write(options.home, result, examined[-1])
    return result


def _shown(asker: Asker, release: Release, unit: EditUnit) -> Shown:
    question, change = plain_question(unit), unit.change
    before = asker.ask(question.text, model=f"{MODEL}@v0").text
    after = asker.ask(question.text).text
    old = change.old.label if change.old else "nobody"
    new = change.new.label if change.new else "nobody"
    return Shown(
        slot=unit.slot,
        change=f"{change.subject.label}: {old}, then {new}",
        release=release.id,
        question=question.text,
        expected=question.reference,
        before=before,
        after=after,
        right_before=is_right(before, question),
        right_after=is_right(after, question),
    )


def _rolled(
    services: Services, asker: Asker, notes: Notes, releases: list[Release]
) -> Rolled | None:
    """One question to the versions that the rollback went through."""
    if not releases:
        return None
    question = plain_question(units_of(services, releases[-1])[0]).text
    previous = releases[-2].version if len(releases) > 1 else 0
    return Rolled(
        question=question,
        served=asker.ask(question, model=f"{MODEL}@v{releases[-1].version}").text,
        rolled_back=asker.ask(question, model=f"{MODEL}@v{previous}").text,
        promoted_again=asker.ask(question).text,
        back_s=notes.back_s,
        again_s=notes.again_s,
    )


def _save(path: Path, result: DemoResult) -> None:
    data = TypeAdapter(DemoResult).dump_python(result, mode="json")
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, path)
