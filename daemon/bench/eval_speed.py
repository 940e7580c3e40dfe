"""How long an evaluation takes, and how much of that batching saves. Owns these rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from daemon.bench.edits import Release
from daemon.bench.rows import Op, Row
from evaluator.evaluation import evaluate
from evaluator.probes import prompts
from evaluator.suites import build
from knowledge.model import Chat, Generation, LanguageModel, Likelihood, Sampling

LIMIT_S = 20.0
TIMES = 5.0
RUNS = 2


class _OneByOne:
    """A model that is given one prompt at a time."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    @property
    def digest(self) -> str:
        return self._model.digest

    def generate(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Generation]]:
        return [self._model.generate([chat], sampling)[0] for chat in chats]

    def loglikelihood(self, requests: Sequence[tuple[Chat, str]]) -> list[Likelihood]:
        return [self._model.loglikelihood([request])[0] for request in requests]


def speed_rows(release: Release, *, quick: bool) -> list[Row]:
    """The whole evaluation of a release on the embedded model, with every probe suite and the
    bundled capability items: pooled, and one prompt at a time in the same run."""
    import torch

    from trainer.embedded import WEIGHTS
    from trainer.engines.transformers import TransformersEngine

    torch.set_num_threads(1)
    model = TransformersEngine.load(WEIGHTS).view(None)
    tasks = () if quick else ("almanac_skills",)
    pooled_s = min(_timed(lambda: evaluate(model, release.suite, tasks=tasks)) for _ in range(RUNS))
    single_s = _timed(lambda: evaluate(_OneByOne(model), release.suite, tasks=tasks))
    asked = len(prompts(release.suite.probes)) + (len(build.items()) if tasks else 0)
    edits = len(release.units)
    return [
        Row(
            what=f"evaluating {edits} edits, all suites, after loading",
            value=round(pooled_s, 3),
            unit="s",
            bar=LIMIT_S,
            op=Op.AT_MOST,
            detail=f"{asked} prompts, one thread, best of {RUNS}",
        ),
        Row(
            what="one prompt at a time against pooled, same run",
            value=round(single_s / pooled_s, 2),
            unit="times",
            bar=TIMES,
            op=Op.AT_LEAST,
            detail=f"{single_s:.1f} s one at a time",
        ),
    ]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
