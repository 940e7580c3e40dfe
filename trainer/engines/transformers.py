"""The transformers engine: one resident base model, any number of LoRA adapters over it.

Implements `knowledge.model.LanguageModel`. Owns the weights, the active adapter and the lock that
makes both safe to use from several threads. Training loops live in `trainer.bootstrap` and
`trainer.internalize`; they borrow the same resident weights.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from knowledge.model import Chat, Generation, Likelihood, Sampling
from trainer.engines.cache import right_pad
from trainer.engines.chat import ChatFormat
from trainer.engines.decoding import Completion, Decoding, Network, decode, decode_stepwise
from trainer.engines.loading import end_ids, first_line, load_base
from trainer.errors import BadAdapter, BadBase
from trainer.fingerprint import adapter_digest, base_digest, resolve_base

MANIFEST = "manifest.json"
_SCORE_ROWS = 32


class TransformersEngine:
    """A causal language model with adapters. `load` reads one, the constructor takes its parts."""

    def __init__(self, model: Any, chat: ChatFormat, digest: str, batch_rows: int = 64) -> None:
        self.model: Any = model
        """The base model; a PeftModel around it once an adapter is resident."""
        self.chat = chat
        self.base_digest = digest
        self.batch_rows = batch_rows
        self.lock = threading.RLock()
        self._adapters: dict[str, str] = {}
        self._active: str | None = None
        self._applied: str | None = None

    @classmethod
    def load(
        cls,
        base_path: str | Path,
        adapter_path: str | Path | None = None,
        *,
        device: str | None = None,
        threads: int | None = None,
        dtype: str = "float32",
        quantization: str = "none",
        attention: str = "sdpa",
        batch_rows: int = 64,
    ) -> TransformersEngine:
        """Load a base model's folder (or hub name) and, if given, an adapter that becomes active.

        Raises BadBase for an unreadable folder or a tokenizer without chat template, BadAdapter for
        an adapter of another base.
        """
        if threads:
            torch.set_num_threads(threads)
        path = resolve_base(base_path)
        digest = base_digest(path)
        model, tokenizer = load_base(
            path, device=device, dtype=dtype, quantization=quantization, attention=attention
        )
        chat = ChatFormat(tokenizer, end_ids(model, tokenizer), str(path))
        engine = cls(model, chat, digest, batch_rows)
        if adapter_path is not None:
            engine.load_adapter("adapter", adapter_path)
            engine._active = "adapter"
        return engine

    # -- adapters ---------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def adapters(self) -> dict[str, str]:
        """Resident adapters: name to digest."""
        return dict(self._adapters)

    @property
    def digest(self) -> str:
        """Digest of the base, or of base and active adapter together."""
        return self.digest_of(self._active)

    def digest_of(self, name: str | None) -> str:
        """Digest of the base under the resident adapter `name` (None: of the bare base)."""
        if name is None:
            return self.base_digest
        if name not in self._adapters:
            raise BadAdapter(f"adapter {name!r} is not resident: load it first")
        pair = f"{self.base_digest} {self._adapters[name]}\n"
        return hashlib.sha256(pair.encode()).hexdigest()

    def load_adapter(self, name: str, path: str | Path, *, trainable: bool = False) -> str:
        """Make an adapter folder resident under a new name; its digest is returned.

        Raises BadAdapter for a folder that is none, a taken name or an adapter of another base.
        """
        folder = Path(path)
        digest = adapter_digest(folder)
        self._check_adapter(name, folder)
        from peft import PeftModel

        with self.lock:
            try:
                if isinstance(self.model, PeftModel):
                    self.model.load_adapter(str(folder), name, is_trainable=trainable)
                else:
                    self.model = PeftModel.from_pretrained(
                        self.model, str(folder), adapter_name=name, is_trainable=trainable
                    )
            except Exception as error:
                raise BadAdapter(
                    f"the adapter in {folder} cannot be loaded: {first_line(error)}"
                ) from error
            self.register(name, digest)
        return digest

    def register(self, name: str, digest: str) -> None:
        """Note an adapter that has just been put on `model`."""
        self.model.eval()
        self._adapters[name] = digest
        self._applied = "\0unknown"
        self._apply(self._active)

    def unload_adapter(self, name: str) -> None:
        """Drop a resident adapter. Raises BadAdapter when it is active or unknown."""
        with self.lock:
            if name not in self._adapters:
                raise BadAdapter(f"adapter {name!r} is not resident")
            if name == self._active:
                raise BadAdapter(f"adapter {name!r} is active: activate another one first")
            if len(self._adapters) == 1:
                self.model = self.model.unload()
            else:
                self.model.delete_adapter(name)
            del self._adapters[name]
            self._applied = "\0unknown"
            self._apply(self._active)

    def _check_adapter(self, name: str, folder: Path) -> None:
        if name in self._adapters:
            raise BadAdapter(f"an adapter named {name!r} is resident already: take a new name")
        manifest = folder / MANIFEST
        if not manifest.is_file():
            return
        wanted = json.loads(manifest.read_text(encoding="utf-8")).get("base_digest")
        if wanted and wanted != self.base_digest:
            raise BadAdapter(
                f"the adapter in {folder} was trained on base {wanted[:12]}, but this base is "
                f"{self.base_digest[:12]}: load the base that its manifest names"
            )

    def _apply(self, name: str | None) -> None:
        """Switch the modules to an adapter; cheap when it is on already."""
        if name == self._applied:
            return
        if name is not None and name not in self._adapters:
            raise BadAdapter(f"adapter {name!r} is not resident: load it first")
        if self._adapters:
            if name is None:
                self.model.base_model.disable_adapter_layers()
            else:
                self.model.base_model.enable_adapter_layers()
                self.model.set_adapter(name)
        self._applied = name

    @contextmanager
    def using(self, name: str | None) -> Iterator[TransformersEngine]:
        """Everything in the block runs under that adapter (None: the base). Other threads wait."""
        with self.lock:
            before = self._active
            self._apply(name)
            self._active = name
            try:
                yield self
            finally:
                self._active = before
                self._apply(before)

    def view(self, name: str | None) -> AdapterView:
        """A language model of its own: this engine under one fixed adapter."""
        self.digest_of(name)
        return AdapterView(self, name)

    # -- the protocol -----------------------------------------------------------------------

    @property
    def network(self) -> Network:
        """Decoder and head of the model as it stands, adapters in place."""
        inner = self.model.get_base_model() if self._adapters else self.model
        decoder = getattr(inner, inner.base_model_prefix)
        ends, pad = self.chat.end_ids, self.chat.pad_id
        return Network(decoder, inner.get_output_embeddings(), ends, pad, self.device)

    def generate(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Generation]]:
        """Complete each chat `sampling.n` times. `logprob` is the model's own at temperature 1."""
        how = Decoding(
            max_new_tokens=sampling.max_new_tokens,
            n=sampling.n,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            batch_rows=self.batch_rows,
        )
        prompts = [self.chat.prompt(tuple(chat)) for chat in chats]
        return [
            [self._generation(c) for c in row] for row in self.sample(prompts, how, sampling.seed)
        ]

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        how: Decoding,
        seed: int,
        network: Network | None = None,
    ) -> list[list[Completion]]:
        """As `generate`, on token ids, from `network` if one is given. Raises BadBase for a prompt
        beyond the context."""
        if not prompts:
            return []
        how = self._within_context(how, max(map(len, prompts)))
        with self.lock:
            self._apply(self._active)
            return decode(network or self.network, prompts, how, self._generator(seed))

    def _within_context(self, how: Decoding, prompt_tokens: int) -> Decoding:
        """`how` with no more new tokens than the context leaves after the longest prompt."""
        self._check_length(prompt_tokens + 1)
        room = self.context - prompt_tokens if self.context else how.max_new_tokens
        return replace(how, max_new_tokens=min(how.max_new_tokens, room))

    def stream(self, chat: Chat, sampling: Sampling) -> Iterator[str]:
        """Pieces of one completion as they come, under the adapter that is active now.

        The lock is taken token by token, so that other requests go on beside a slow reader.
        """
        name = self._active
        prompt = self.chat.prompt(tuple(chat))
        self._check_length(len(prompt) + 1)
        return self._pieces(name, prompt, sampling)

    def _pieces(self, name: str | None, prompt: Sequence[int], sampling: Sampling) -> Iterator[str]:
        how = Decoding(
            max_new_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )
        how = self._within_context(how, len(prompt))
        tokens = decode_stepwise(self.network, prompt, how, self._generator(sampling.seed))
        ids: list[int] = []
        said = ""
        while True:
            with self.using(name):
                token = next(tokens, None)
            if token is None:
                break
            ids.append(token)
            text = self.chat.text(ids)
            if text.endswith("\ufffd") or not text.startswith(said):
                continue  # a character whose bytes are not all there yet
            if text != said:
                yield text[len(said) :]
                said = text

    def loglikelihood(self, requests: Sequence[tuple[Chat, str]]) -> list[Likelihood]:
        """Score each continuation, without its end token, after its chat's assistant header."""
        rows: list[tuple[list[int], list[int]]] = []
        for chat, text in requests:
            ids = list(self.chat.completion(tuple(chat), text))[:-1]
            prompt = list(self.chat.prompt(tuple(chat)))
            self._check_length(len(prompt) + len(ids))
            rows.append((prompt, ids))
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + len(rows[i][1]))
        found: dict[int, Likelihood] = {}
        with self.lock:
            self._apply(self._active)
            for start in range(0, len(order), _SCORE_ROWS):
                chosen = order[start : start + _SCORE_ROWS]
                found.update(zip(chosen, self._score([rows[i] for i in chosen]), strict=True))
        return [found[i] for i in range(len(rows))]

    @torch.inference_mode()
    def _score(self, rows: list[tuple[list[int], list[int]]]) -> list[Likelihood]:
        network = self.network
        ids = right_pad([p + c for p, c in rows], network.pad_id, network.device)
        hidden = network.decoder(input_ids=ids, use_cache=False).last_hidden_state
        scored: list[Likelihood] = []
        for row, (prompt, continuation) in enumerate(rows):
            if not continuation:
                scored.append(Likelihood(logprob=0.0, tokens=0, greedy=True))
                continue
            start = len(prompt) - 1
            logits = network.head(hidden[row, start : start + len(continuation)]).float()
            target = torch.tensor(continuation, device=network.device)
            logprob = logits.gather(-1, target[:, None]).squeeze(-1) - logits.logsumexp(-1)
            greedy = bool((logits.argmax(-1) == target).all())
            scored.append(
                Likelihood(logprob=float(logprob.sum()), tokens=len(continuation), greedy=greedy)
            )
        return scored

    def _generation(self, completion: Completion) -> Generation:
        return Generation(
            text=self.chat.text(completion.ids),
            finished=completion.finished,
            tokens=len(completion.ids),
            logprob=sum(completion.logprobs),
        )

    def _generator(self, seed: int) -> torch.Generator:
        return torch.Generator(device=self.device).manual_seed(seed)

    @property
    def context(self) -> int:
        """Most positions that the model was made for; 0 when its config names none."""
        return int(getattr(self.model.config, "max_position_embeddings", 0) or 0)

    def _check_length(self, tokens: int) -> None:
        if self.context and tokens > self.context:
            raise BadBase(
                f"prompt and answer need {tokens} tokens, the model's context is {self.context}: "
                "shorten the narrative or max_new_tokens"
            )


class AdapterView:
    """A language model: one engine under one fixed adapter (None: the bare base)."""

    def __init__(self, engine: TransformersEngine, name: str | None) -> None:
        self._engine = engine
        self._name = name

    @property
    def digest(self) -> str:
        return self._engine.digest_of(self._name)

    def generate(self, chats: Sequence[Chat], sampling: Sampling) -> list[list[Generation]]:
        with self._engine.using(self._name):
            return self._engine.generate(chats, sampling)

    def loglikelihood(self, requests: Sequence[tuple[Chat, str]]) -> list[Likelihood]:
        with self._engine.using(self._name):
            return self._engine.loglikelihood(requests)

    def stream(self, chat: Chat, sampling: Sampling) -> Iterator[str]:
        with self._engine.using(self._name):
            return self._engine.stream(chat, sampling)
