"""Where answers and judgements are kept between runs: two small ports, in memory or in a file.

Owns the ports and two plain implementations. The daemon binds its own over the database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from evaluator.errors import Permanent
from knowledge.model import Generation


class AnswerStore(Protocol):
    """Greedy answers by (model digest, prompt). A prompt answered once is never computed again.

    `budget` is the limit of new tokens: an answer cut at a smaller limit is another answer.
    """

    def get(self, model: str, budget: int, prompts: Sequence[str]) -> Mapping[str, Generation]: ...

    def put(self, model: str, budget: int, answers: Mapping[str, Generation]) -> None: ...


class JudgementStore(Protocol):
    """Replies of a judge by key (judge model, prompt version, input hash)."""

    def get(self, key: str) -> str | None: ...

    def put(self, key: str, reply: str) -> None: ...


class MemoryAnswers:
    """Answers for the life of the process."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, str], Generation] = {}

    def get(self, model: str, budget: int, prompts: Sequence[str]) -> Mapping[str, Generation]:
        found = ((p, self._known.get((model, budget, p))) for p in prompts)
        return {prompt: answer for prompt, answer in found if answer is not None}

    def put(self, model: str, budget: int, answers: Mapping[str, Generation]) -> None:
        for prompt, answer in answers.items():
            self._known[model, budget, prompt] = answer


class _JsonLines:
    """An append-only file of [key, value] rows. A torn last line (after a kill) is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, str] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            return
        raw = path.read_bytes()
        whole, newline, torn = raw.rpartition(b"\n")
        if torn:
            os.truncate(path, len(whole) + len(newline))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                key, value = json.loads(line)
            except ValueError as error:
                raise Permanent(
                    f"{path}, line {number} is not a [key, value] row; move the file away and "
                    "run again, its answers are then computed anew"
                ) from error
            self.rows[key] = value

    def add(self, rows: Mapping[str, str]) -> None:
        text = "".join(json.dumps([k, v], ensure_ascii=False) + "\n" for k, v in rows.items())
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        self.rows.update(rows)


class FileAnswers:
    """Answers in one JSON-lines file; one process writes at a time."""

    def __init__(self, path: Path) -> None:
        self._file = _JsonLines(path)

    def get(self, model: str, budget: int, prompts: Sequence[str]) -> Mapping[str, Generation]:
        found: dict[str, Generation] = {}
        for prompt in prompts:
            row = self._file.rows.get(_answer_key(model, budget, prompt))
            if row is not None:
                found[prompt] = Generation(**json.loads(row))
        return found

    def put(self, model: str, budget: int, answers: Mapping[str, Generation]) -> None:
        rows = {
            _answer_key(model, budget, prompt): json.dumps(
                {"text": g.text, "finished": g.finished, "tokens": g.tokens, "logprob": g.logprob},
                ensure_ascii=False,
            )
            for prompt, g in answers.items()
        }
        if rows:
            self._file.add(rows)


def _answer_key(model: str, budget: int, prompt: str) -> str:
    return f"{model}\n{budget}\n{prompt}"


class MemoryJudgements:
    """Judgements for the life of the process."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        return self._known.get(key)

    def put(self, key: str, reply: str) -> None:
        self._known[key] = reply


class FileJudgements:
    """Judgements in one JSON-lines file; one process writes at a time."""

    def __init__(self, path: Path) -> None:
        self._file = _JsonLines(path)

    def get(self, key: str) -> str | None:
        return self._file.rows.get(key)

    def put(self, key: str, reply: str) -> None:
        self._file.add({key: reply})
