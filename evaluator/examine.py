"""The examination: one pooled greedy pass of a model over a suite.

Owns the order of generation and the reuse of stored answers. Batching inside a call is the
engine's; judging is `evaluator.judge`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluator.errors import EvaluatorError
from evaluator.probes import Probe, Suite
from evaluator.stores import AnswerStore
from knowledge.model import Generation, LanguageModel, Sampling
from knowledge.questions import QuestionKind
from knowledge.rendering import closed_book

MAX_NEW_TOKENS = 160
CHUNK = 256
"""Prompts a call: the engine batches inside; between calls answers are stored and progress told."""

Progress = Callable[[int, int], None]
"""Called with (prompts answered, prompts in all)."""

_SHORT = frozenset(
    {
        QuestionKind.DIRECT,
        QuestionKind.PARAPHRASE,
        QuestionKind.CLOZE,
        QuestionKind.REVERSE,
        QuestionKind.NEIGHBOUR,
        QuestionKind.UNRELATED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the model said to one probe. `finished` is False when it was cut at the token limit."""

    probe: str
    text: str
    finished: bool
    tokens: int


def examine(
    model: LanguageModel,
    suite: Suite,
    *,
    answers: AnswerStore | None = None,
    progress: Progress | None = None,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> list[Output]:
    """Greedy answers of `model` to every probe, in the order of the suite.

    Equal prompts are asked once; prompts that `answers` holds for this model are not asked at all.
    Raises EvaluatorError when the engine returns fewer answers than prompts.
    """
    waiting = _by_expected_length(suite.probes)
    known = dict(answers.get(model.digest, max_new_tokens, waiting)) if answers else {}
    total = len(waiting)
    waiting = [prompt for prompt in waiting if prompt not in known]
    if progress:
        progress(total - len(waiting), total)
    for start in range(0, len(waiting), CHUNK):
        fresh = _ask(model, waiting[start : start + CHUNK], max_new_tokens)
        if answers:
            answers.put(model.digest, max_new_tokens, fresh)
        known |= fresh
        if progress:
            progress(total - len(waiting) + min(start + CHUNK, len(waiting)), total)
    return [_output(probe, known[probe.question.text]) for probe in suite.probes]


def _by_expected_length(probes: Sequence[Probe]) -> list[str]:
    """Distinct prompts, those with short answers first, then by length: little padding a batch."""
    first: dict[str, bool] = {}
    for probe in probes:
        first.setdefault(probe.question.text, probe.kind not in _SHORT)
    return sorted(first, key=lambda text: (first[text], len(text), text))


def _ask(model: LanguageModel, prompts: Sequence[str], budget: int) -> dict[str, Generation]:
    sampling = Sampling(max_new_tokens=budget, temperature=0.0)
    replies = model.generate([closed_book(prompt) for prompt in prompts], sampling)
    if len(replies) != len(prompts) or not all(replies):
        raise EvaluatorError(
            f"the engine of {model.digest[:12]} answered {len(replies)} of {len(prompts)} prompts; "
            "nothing of this batch was stored, check the engine's log and run again"
        )
    return {prompt: reply[0] for prompt, reply in zip(prompts, replies, strict=True)}


def _output(probe: Probe, answer: Generation) -> Output:
    return Output(probe=probe.id, text=answer.text, finished=answer.finished, tokens=answer.tokens)
