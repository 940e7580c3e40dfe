"""Answers that models have already given. Implements `evaluator.stores.AnswerStore`.

Owns the `answer` table. Greedy decoding of fixed weights says the same again, so production is
asked once for each question, however many candidates are compared with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlmodel import col, select

from daemon.clock import Clock
from daemon.store.engine import Database
from daemon.store.rows import AnswerRow
from knowledge import codec
from knowledge.model import Generation
from knowledge.narrative import digest_of

_CHUNK = 500


class SqlAnswers:
    """By model digest, token budget and prompt. Blocking: for the evaluation's own process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, model: str, budget: int, prompts: Sequence[str]) -> Mapping[str, Generation]:
        keys = {digest_of([budget, prompt]): prompt for prompt in prompts}
        requests = list(keys)
        found: dict[str, Generation] = {}
        with self._database.read() as session:
            for start in range(0, len(requests), _CHUNK):
                part = requests[start : start + _CHUNK]
                rows = session.exec(
                    select(AnswerRow).where(
                        AnswerRow.model == model, col(AnswerRow.request).in_(part)
                    )
                )
                for row in rows:
                    found[keys[row.request]] = codec.from_data(Generation, row.response)
        return found

    def put(self, model: str, budget: int, answers: Mapping[str, Generation]) -> None:
        """Store answers; those already stored stay as they are."""
        now = self._clock.now()
        with self._database.write() as session:
            for prompt, answer in answers.items():
                request = digest_of([budget, prompt])
                if session.get(AnswerRow, (model, request)) is None:
                    response = codec.to_data(answer)
                    session.add(AnswerRow(model=model, request=request, response=response, at=now))
