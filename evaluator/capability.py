"""General capability: lm-eval tasks through the protocol of `knowledge.model`.

Owns the one adapter class between lm-eval and `LanguageModel`, and the per-item results that the
gate pairs against production. Tasks are the bundled offline ones of `evaluator/suites` or any that
lm-eval finds in a folder or by name; lm-eval itself is imported only when a task runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluator.errors import TaskError
from knowledge.model import LanguageModel, Sampling
from knowledge.rendering import closed_book

if TYPE_CHECKING:
    from lm_eval.api.model import LM

SUITES = Path(__file__).with_name("suites")
BUNDLED = ("almanac_skills",)
MAX_GEN_TOKENS = 256
_SCORES = ("exact_match", "acc_norm", "acc", "prompt_level_strict_acc", "mc2", "f1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Right or wrong per item, keyed `task:doc id:hash of the document`; the key pairs two models
    item by item. `group` gives each key's subgroup (a skill), where the task names one."""

    tasks: tuple[str, ...]
    items: dict[str, bool]
    group: dict[str, str]

    @property
    def accuracy(self) -> float:
        """Share of right items; 0 without items."""
        return sum(self.items.values()) / len(self.items) if self.items else 0.0

    def by_group(self) -> dict[str, tuple[int, int]]:
        """(right, all) per subgroup, in order of name."""
        found: dict[str, tuple[int, int]] = {}
        for key, right in self.items.items():
            name = self.group[key]
            good, total = found.get(name, (0, 0))
            found[name] = (good + right, total + 1)
        return dict(sorted(found.items()))


def run_tasks(
    model: LanguageModel,
    tasks: Sequence[str] = BUNDLED,
    *,
    folder: Path = SUITES,
    limit: int | None = None,
) -> Capability:
    """Run lm-eval tasks on a model. `folder` holds task files; names that it lacks are lm-eval's
    own (their data then comes from the user's hub cache). Raises TaskError."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    # lm-eval writes progress bars and hints to stderr; here only the result and errors matter
    noise = io.StringIO()
    own = {path.stem for path in folder.glob("*.yaml")}
    try:
        with contextlib.redirect_stderr(noise):
            manager = TaskManager(
                include_path=str(folder), include_defaults=not own.issuperset(tasks)
            )
            result: Any = simple_evaluate(
                model=adapter(model),
                tasks=list(tasks),
                task_manager=manager,
                limit=limit,
                bootstrap_iters=0,
                log_samples=True,
                verbosity="ERROR",
            )
    except (KeyError, ValueError, OSError, RuntimeError) as error:
        raise TaskError(
            f"capability tasks {', '.join(tasks)} could not run: {error}; check the task names and "
            f"that their data is in {folder} or in the hub cache"
        ) from error
    return _capability(tuple(tasks), result["samples"])


def _capability(tasks: tuple[str, ...], samples: Mapping[str, list[dict[str, Any]]]) -> Capability:
    items: dict[str, bool] = {}
    group: dict[str, str] = {}
    for task, rows in samples.items():
        for row in rows:
            score = next((row[name] for name in _SCORES if name in row), None)
            if score is None:
                raise TaskError(
                    f"task {task} reports none of {', '.join(_SCORES)}; only tasks with a right or "
                    "wrong per item can be paired"
                )
            identity = hashlib.sha256(repr(sorted(row["doc"].items())).encode()).hexdigest()[:12]
            key = f"{task}:{row['doc_id']}:{identity}"
            items[key] = float(score) >= 0.5
            group[key] = str(row["doc"].get("skill", task))
    return Capability(tasks=tasks, items=items, group=group)


def adapter(model: LanguageModel) -> LM:
    """The model as lm-eval sees it: each context is the user's turn of a chat."""
    from lm_eval.api.model import LM as Base

    class ProtocolLM(Base):
        """`generate_until` and `loglikelihood` over the protocol. Perplexities have no meaning for
        a chat model and raise TaskError."""

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            wanted = [request.args for request in requests]
            order = sorted(
                range(len(wanted)), key=lambda i: (_budget(wanted[i][1]), len(wanted[i][0]))
            )
            texts = [""] * len(wanted)
            for budget in sorted({_budget(options) for _, options in wanted}):
                chosen = [i for i in order if _budget(wanted[i][1]) == budget]
                replies = model.generate(
                    [closed_book(wanted[i][0]) for i in chosen], Sampling(max_new_tokens=budget)
                )
                for index, reply in zip(chosen, replies, strict=True):
                    texts[index] = _until(reply[0].text, wanted[index][1].get("until", ()))
            return texts

        def loglikelihood(
            self, requests: list[Any], disable_tqdm: bool = False
        ) -> list[tuple[float, bool]]:
            pairs = [(closed_book(r.args[0]), r.args[1]) for r in requests]
            return [(found.logprob, found.greedy) for found in model.loglikelihood(pairs)]

        def loglikelihood_rolling(
            self, requests: list[Any], disable_tqdm: bool = False
        ) -> list[float]:
            raise TaskError(
                "perplexity tasks are not supported: the protocol scores answers, not free text; "
                "choose multiple-choice or generation tasks"
            )

    return ProtocolLM()


def _budget(options: Mapping[str, Any]) -> int:
    return int(options.get("max_gen_toks", MAX_GEN_TOKENS))


def _until(text: str, stops: str | Sequence[str]) -> str:
    for stop in (stops,) if isinstance(stops, str) else stops:
        if stop:
            text = text.split(stop)[0]
    return text
