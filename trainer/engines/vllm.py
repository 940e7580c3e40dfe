"""A vLLM server as the sampler of a job: prompts as token ids, the student's adapter by its digest.

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 vllm serve BASE --enable-lora --max-lora-rank 16 \\
        --max-loras 2 --max-cpu-loras 4

Owns the protocol: `POST /v1/completions` with ids and log-probabilities, loading and unloading of
adapters under names that are never used twice (a name that comes back serves a stale prefix cache).
Speaks HTTP only and imports no vLLM. Unverified on a GPU: it was tested against a double that keeps
the documented protocol.
"""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.engines.decoding import Completion, Decoding
from trainer.errors import BadAdapter, BadBase, Unreachable

_TIMEOUT_S = 600.0
_ALREADY = "has already been loaded"
"""What vLLM says, with status 400, to a name that it knows."""
_LOADED = 2
"""Adapters of the student that stay loaded: the one in use and the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmServer:
    """Where the server is and under which name it serves the base."""

    url: str
    base: str


class VllmSampler:
    """Samples from a vLLM server. `end_ids` are the model's end tokens."""

    def __init__(self, server: VllmServer, folder: Path, end_ids: frozenset[int]) -> None:
        self._server = server
        self._folder = folder
        self._end_ids = end_ids
        self._loaded: list[str] = []

    def load(self, digest: str, write: Callable[[Path], None]) -> str:
        """Make the adapter with that digest resident; the name to sample it under.

        `write` puts its files into a fresh folder, which the server must be able to read. One that
        a run before had loaded is the same: its name is its content's. Raises BadAdapter when the
        server refuses it, Unreachable when it does not answer.
        """
        name = f"student-{digest[:24]}"
        if name in self._loaded:
            return name
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write(folder)
        body = {"lora_name": name, "lora_path": str(folder.resolve())}
        try:
            self._post("/v1/load_lora_adapter", body, refused=BadAdapter)
        except BadAdapter as error:
            if _ALREADY not in str(error):
                raise
        self._loaded.append(name)
        while len(self._loaded) > _LOADED:
            old = self._loaded.pop(0)
            self._post("/v1/unload_lora_adapter", {"lora_name": old}, refused=BadAdapter)
            shutil.rmtree(self._folder / old, ignore_errors=True)
        return name

    def close(self) -> None:
        """Unload what the job has loaded, in runs that were killed too: the folders name it. A
        server that has gone, or has forgotten an adapter, has nothing to unload."""
        for folder in sorted(self._folder.glob("*")):
            with suppress(BadAdapter, Unreachable):
                body = {"lora_name": folder.name}
                self._post("/v1/unload_lora_adapter", body, refused=BadAdapter)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._loaded.clear()

    def sample(
        self, prompts: Sequence[Sequence[int]], how: Decoding, seed: int, name: str | None
    ) -> list[list[Completion]]:
        """`how.n` completions of each prompt under an adapter (None: the base).

        Log-probabilities are the sampler's at temperature 1 (the server's default,
        `--logprobs-mode raw_logprobs`). Raises BadBase for an answer that does not keep the
        protocol, Unreachable when the server does not answer.
        """
        if not prompts:
            return []
        drawn = how.n - 1 if how.greedy_first else how.n
        rows: list[list[Completion]] = [[] for _ in prompts]
        if how.greedy_first:
            self._add(rows, prompts, how, seed, name, n=1, temperature=0.0)
        if drawn:
            self._add(rows, prompts, how, seed, name, n=drawn, temperature=how.temperature)
        return rows

    def _add(
        self,
        rows: list[list[Completion]],
        prompts: Sequence[Sequence[int]],
        how: Decoding,
        seed: int,
        name: str | None,
        *,
        n: int,
        temperature: float,
    ) -> None:
        body = {
            "model": name or self._server.base,
            "prompt": [list(prompt) for prompt in prompts],
            "n": n,
            "max_tokens": how.max_new_tokens,
            "temperature": temperature,
            "top_p": how.top_p if temperature else 1.0,
            "seed": seed % 2**31,
            "logprobs": 0,
            "return_token_ids": True,
            "skip_special_tokens": False,
        }
        answer = self._post("/v1/completions", body, refused=BadBase)
        choices = sorted(answer.get("choices", ()), key=lambda choice: choice["index"])
        if len(choices) != n * len(prompts):
            raise BadBase(
                f"{self._server.url} sent {len(choices)} completions, {n * len(prompts)} were "
                "asked for: is it a vLLM server?"
            )
        for place, choice in enumerate(choices):
            rows[place // n].append(self._completion(choice))

    def _completion(self, choice: dict[str, Any]) -> Completion:
        ids = choice.get("token_ids")
        scores = (choice.get("logprobs") or {}).get("token_logprobs")
        if ids is None or scores is None or len(ids) != len(scores):
            raise BadBase(
                f"{self._server.url} sends no token ids with their log-probabilities: a vLLM that "
                "knows `return_token_ids` is needed"
            )
        finished = choice.get("finish_reason") == "stop"
        if finished and (not ids or ids[-1] not in self._end_ids):
            raise BadBase(
                f"{self._server.url} ended an answer without an end token of the model: serve the "
                "base that the job names, without stop strings"
            )
        return Completion(ids=list(ids), logprobs=[float(s) for s in scores], finished=finished)

    def _post(
        self, path: str, body: dict[str, Any], *, refused: type[BadAdapter] | type[BadBase]
    ) -> dict[str, Any]:
        url = self._server.url.rstrip("/") + path
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:
                raw = reply.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            raise refused(f"{url} refused with {error.code}: {said}") from error
        except OSError as error:
            raise Unreachable(
                f"{url} does not answer: {error}. Start the vLLM server and run the job again"
            ) from error
        try:
            return json.loads(raw)
        except ValueError:
            return {}  # the adapter endpoints answer with a sentence
