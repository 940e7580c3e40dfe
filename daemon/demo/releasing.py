"""From approved edits to a served version: freeze, train, evaluate, gate, promote, step by step.

Owns driving the release controllers and telling how far a job is. Decides nothing: sizes are
settings, the verdict is the gate's.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.app import Almanac
from daemon.demo.errors import DemoError
from daemon.demo.progress import Narrator, Stage
from daemon.jobs.supervisor import progress_of
from daemon.registry.releases import Release
from daemon.store.states import ReleaseState

MAKING = ("train", "evaluate", "promote")
_LOOK_EVERY_S = 0.2
_ENDED = frozenset(
    {
        ReleaseState.PROMOTED,
        ReleaseState.FAILED,
        ReleaseState.INCONCLUSIVE,
        ReleaseState.DISCARDED,
    }
)
_STAGES = {
    ReleaseState.FROZEN: "train",
    ReleaseState.TRAINING: "train",
    ReleaseState.TRAINED: "evaluate",
    ReleaseState.EVALUATING: "evaluate",
    ReleaseState.PASSED: "promote",
}
_TITLES = {"train": "Training", "evaluate": "Examining", "promote": "Promoting"}


async def releases(almanac: Almanac) -> list[Release]:
    return await asyncio.to_thread(almanac.services.releases.list)


async def freeze(almanac: Almanac) -> Release | None:
    """The release that stands before production, freezing one if enough edits are approved."""
    await almanac.controllers["release"].reconcile()
    return await asyncio.to_thread(_standing, almanac)


def _standing(almanac: Almanac) -> Release | None:
    return next((r for r in almanac.services.releases.list() if r.state not in _ENDED), None)


async def make(almanac: Almanac, release: Release, narrator: Narrator) -> Release:
    """Take a release to its end, whatever that is. Raises DemoError when a job gives up."""
    number = release.id
    while release.state not in _ENDED:
        name = _STAGES[release.state]
        title = f"{_TITLES[name]} release {number} ({release.edits} edits)"
        with narrator.stage(f"{name} release {number}", title) as stage:
            release = await _through(almanac, release, name, stage)
            stage.note = f"{release.state.value}"
    if release.state is ReleaseState.FAILED and release.adapter is None:
        raise DemoError(f"training of release {number} gave up: {release.reason}")
    return release


async def _through(almanac: Almanac, release: Release, name: str, stage: Stage) -> Release:
    """Drive the controllers until the release has left this stage."""
    while release.state not in _ENDED and _STAGES[release.state] == name:
        steps = 0
        for controller in MAKING:
            steps += await almanac.controllers[controller].reconcile()
        release = await asyncio.to_thread(_again, almanac, release.id)
        _tell(almanac, stage)
        if not steps:
            await almanac.jobs.wait_any(_LOOK_EVERY_S)
            if not almanac.jobs.running():
                await asyncio.sleep(_LOOK_EVERY_S)
    return release


def _again(almanac: Almanac, release_id: int) -> Release:
    return almanac.services.releases.show(release_id).release


def _tell(almanac: Almanac, stage: Stage) -> None:
    """Show the last line of the running job's progress."""
    for folder in almanac.jobs.running():
        line = progress_of(Path(folder))
        if line is None:
            continue
        words = [str(line["stage"])]
        if line.get("loss") is not None:
            words.append(f"loss {line['loss']:.3f}")
        if line.get("eta_s") is not None:
            words.append(f"{line['eta_s']:.0f} s left of it")
        stage.update(done=line["step"], total=line["of"], note=", ".join(words))
        return
