"""Documents to packed rows of tokens.

Owns the layout: several documents fill one row, the pairs of a document share its article's
tokens and positions go on from the article for each of them, exactly as when asked alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from trainer.embedded.corpus import Document

_OPEN_ROWS = 16
"""Rows that are filled at the same time: more waste less."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Packed rows, each array (B, T): token ids, positions, document, segment, and whether the
    token is one that the model should have predicted (part of an answer)."""

    ids: np.ndarray
    position: np.ndarray
    group: np.ndarray
    segment: np.ndarray
    answer: np.ndarray


def _encoded(tokenizer: Tokenizer, documents: Sequence[Document]) -> list[list[list[int]]]:
    texts: list[str] = []
    for document in documents:
        texts.append(f"<|system|> {document.article}<|end|>" if document.article else "")
        for question, answer in document.pairs:
            texts.append(f"<|user|> {question}<|end|><|assistant|>")
            texts.append(f" {answer}<|end|>")
    pieces = iter(tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    return [
        [next(pieces).ids for _ in range(1 + 2 * len(document.pairs))] for document in documents
    ]


class Packer:
    """Fills rows of `length` tokens with documents; what does not fit opens the next row."""

    def __init__(self, tokenizer: Tokenizer, length: int) -> None:
        self.tokenizer = tokenizer
        self.length = length
        self._done: list[list[list[int]]] = []
        self._open: list[list[list[int]]] = []

    def _layout(self, parts: list[list[int]]) -> list[list[int]]:
        """One document as token-wise lists, at most `length` long; pairs that do not fit go."""
        prefix = parts[0]
        ids, position = list(prefix), list(range(len(prefix)))
        segment, answer = [0] * len(prefix), [0] * len(prefix)
        for number, i in enumerate(range(1, len(parts), 2), start=1):
            question, reply = parts[i], parts[i + 1]
            size = len(question) + len(reply)
            if len(ids) + size > self.length:
                break
            ids += question + reply
            position += range(len(prefix), len(prefix) + size)
            segment += [number] * size
            answer += [0] * len(question) + [1] * len(reply)
        return [ids, position, segment, answer]

    def _row_for(self, size: int) -> list[list[int]]:
        """The fullest open row with room for `size` tokens; with none, the fullest is closed."""
        fitting = [row for row in self._open if len(row[0]) + size <= self.length]
        if fitting:
            return max(fitting, key=lambda row: len(row[0]))
        if len(self._open) >= _OPEN_ROWS:
            fullest = max(self._open, key=lambda row: len(row[0]))
            self._open.remove(fullest)
            self._done.append(fullest)
        self._open.append([[], [], [], [], []])
        return self._open[-1]

    def rows(self, documents: Iterator[Document], count: int, chunk: int = 256) -> Rows:
        """The next `count` rows."""
        while len(self._done) < count:
            batch = [next(documents) for _ in range(chunk)]
            for parts in _encoded(self.tokenizer, batch):
                ids, position, segment, answer = self._layout(parts)
                if not any(answer):
                    continue
                row = self._row_for(len(ids))
                group = [row[2][-1] + 1 if row[2] else 1] * len(ids)
                for target, values in zip(
                    row, (ids, position, group, segment, answer), strict=True
                ):
                    target.extend(values)
        rows, self._done = self._done[:count], self._done[count:]
        return self._arrays(rows)

    def alone(self, documents: Sequence[Document]) -> Rows:
        """One row a document, for looking at each by itself."""
        laid = [self._layout(parts) for parts in _encoded(self.tokenizer, documents)]
        return self._arrays([[ids, at, [1] * len(ids), seg, ans] for ids, at, seg, ans in laid])

    def _arrays(self, rows: list[list[list[int]]]) -> Rows:
        arrays = [np.zeros((len(rows), self.length), dtype=np.int16) for _ in range(5)]
        for r, row in enumerate(rows):
            for array, values in zip(arrays, row, strict=True):
                array[r, : len(values)] = values
        return Rows(*arrays)
