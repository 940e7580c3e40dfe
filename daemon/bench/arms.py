"""What the comparison of methods runs: a recipe, how often, on which form of the units.

Owns the list of methods with their recipes and seeds, and the model that has the narrative in its
prompt. Training is the trainer's, judging the evaluator's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.bench.edit_sets import EditCase
from evaluator.probes import Part
from knowledge.model import Chat, Generation, LanguageModel, Likelihood, Sampling
from knowledge.rendering import open_book
from trainer.recipe import Method, Recipe, load_recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One method of the comparison."""

    method: Method
    recipe: str
    """Name of a shipped recipe, or the path of a file."""
    seeds: int = 1

    @property
    def with_cake(self) -> bool:
        """Its units also carry CaKE's questions."""
        return self.method in (Method.CAKE, Method.CODE_CAKE)

    def load(self) -> Recipe:
        return load_recipe(self.recipe)


ARMS = (
    Arm(method=Method.CODE, recipe="embedded", seeds=3),
    Arm(method=Method.CODE_SFT_ONLY, recipe="sft-only", seeds=3),
    Arm(method=Method.STATIC_LORA, recipe="static", seeds=3),
    Arm(method=Method.IN_CONTEXT, recipe="in-context"),  # greedy, nothing drawn: one seed says all
    Arm(method=Method.SDFT, recipe="sdft"),
    Arm(method=Method.CODE_REVERSE_KL, recipe="code-reverse-kl"),
    Arm(method=Method.CODE_NONCAUSAL, recipe="code-noncausal"),
    Arm(method=Method.CODE_CAKE, recipe="code-cake"),
    Arm(method=Method.CODE_TEACHER_SFT, recipe="code-teacher-sft"),
    Arm(method=Method.CAKE, recipe="cake"),
)
"""In the order in which they are run: what the bars are about comes first."""


def arm_of(method: str, recipe: str | None = None) -> Arm:
    """The arm of a method, with another recipe if one is named. Raises ValueError."""
    arm = next((a for a in ARMS if a.method == method), None)
    if arm is None:
        known = ", ".join(a.method for a in ARMS)
        raise ValueError(f"there is no method {method!r} to compare: use one of {known}")
    return arm if recipe is None else Arm(method=arm.method, recipe=recipe, seeds=arm.seeds)


class InContext:
    """A model that reads the narrative of the edit that it is asked about, before each question;
    questions about other facts get the narrative of one of the edits, drawn by their text."""

    def __init__(self, model: LanguageModel, case: EditCase) -> None:
        self._model = model
        prose = {u.id: u.narrative.prose for u in case.units if u.narrative}
        self._all = [prose[unit] for unit in sorted(prose)]
        self._own: Mapping[str, str] = {
            probe.question.text: prose[probe.cluster]
            for probe in case.suite.probes
            if probe.part is Part.EDIT and probe.cluster in prose
        }
        told = hashlib.sha256("\n".join(self._all).encode()).hexdigest()
        self.digest = hashlib.sha256(f"{model.digest} in context {told}".encode()).hexdigest()

    def _told(self, chat: Chat) -> Chat:
        asked = chat[-1].content
        drawn = hashlib.sha256(asked.encode()).digest()[0] % len(self._all)
        return open_book(self._own.get(asked, self._all[drawn]), asked)

    def generate(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Generation]]:
        return self._model.generate([self._told(chat) for chat in chats], sampling)

    def loglikelihood(self, requests: Sequence[tuple[Chat, str]]) -> list[Likelihood]:
        return self._model.loglikelihood([(self._told(chat), text) for chat, text in requests])
