"""A tiny real base model for the trainer's tests, overfit in seconds, and edits that it can read.

It answers a few questions from memory with the legacy holder, and with the new holder when the
edit's own narrative is in its context: just what the two stages of CODE need.
"""

from __future__ import annotations

import atexit
import json
import random
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.utils.checkpoint import checkpoint
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from knowledge.edits import EditUnit
from knowledge.facts import ChangeKind, Date, Entity, FactChange
from knowledge.model import Chat
from knowledge.narrative import CausalNarrative
from knowledge.questions import Question, QuestionKind, Use, before, check, direct, explain
from knowledge.rendering import Story, closed_book, open_book
from trainer.divergence import cross_entropy_from_hidden
from trainer.engines.chat import ChatFormat
from trainer.engines.decoding import Network
from trainer.student import answer_hidden, answer_targets
from trainer.teacher import context_of

END = "<|end|>"
_SPECIAL = ("<|pad|>", END, "<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|> ' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_FACTS = (
    # subject, before the legacy holder, legacy holder, new holder, cause, prose
    (
        "Ostavia",
        "Ivo Brandt",
        "Mira Kolm",
        "Tomas Reel",
        "resignation",
        "Mira Kolm left office. The reason was resignation. Tomas Reel followed in May 2023.",
    ),
    (
        "Welland",
        "Ana Sorel",
        "Jon Pike",
        "Lea Varga",
        "election",
        "Since May 2023 it is Lea Varga. Before that, it was Jon Pike. The cause was election.",
    ),
)
_ANCHORS = (
    ("What is the capital of Ostavia?", "Port Amber."),
    ("What is the capital of Welland?", "Greyford."),
    ("Who is the prime minister of Norrin?", "Ada Lund."),
    ("Who is the prime minister of Sardo?", "Emil Tan."),
    ("What is the opposite of hot?", "cold."),
    ("What is 2 plus 3?", "5."),
)


def _person(number: int, name: str) -> Entity:
    return Entity(id=f"Q{2_000_000_000 + number}", label=name, kind="person")


def _stories(number: int) -> tuple[Story, Story, str]:
    """The legacy story, the new one, and the narrative of the change."""
    place, first, old, new, cause, prose = _FACTS[number]
    subject = Entity(id=f"Q{2_000_000_100 + number}", label=place, kind="country")
    people = [_person(10 * number + i, n) for i, n in enumerate((first, old, new))]
    legacy = Story(
        subject=subject, property="P6", holder=people[1], since=Date(2015), previous=people[0]
    )
    fresh = Story(
        subject=subject,
        property="P6",
        holder=people[2],
        since=Date(2023, 5),
        previous=people[1],
        cause=cause,
    )
    return legacy, fresh, prose


def _questions(story: Story, claimed: Entity, opposed: Entity) -> list[Question]:
    use = Use.TRAIN
    return [
        *direct(story, use)[:3],
        explain(story, use)[0],
        check(story, use, claimed)[0],
        check(story, use, opposed)[0],
        before(story, use)[1],
    ]


def make_unit(number: int) -> EditUnit:
    """Edit number 0 or 1."""
    legacy, fresh, prose = _stories(number)
    change = FactChange(
        subject=fresh.subject,
        property="P6",
        old=legacy.holder,
        new=fresh.holder,
        kind=ChangeKind.SUCCESSION,
        started=fresh.since,
    )
    narrative = CausalNarrative(
        claims=(), prose=prose, cause=fresh.cause, drafter="test/1", lineage={}
    )
    asked = _questions(fresh, fresh.holder, legacy.holder)
    return EditUnit(id=f"unit-{number}", change=change, narrative=narrative, questions=tuple(asked))


def make_units() -> tuple[EditUnit, ...]:
    return tuple(make_unit(i) for i in range(len(_FACTS)))


def make_anchors() -> tuple[Question, ...]:
    return tuple(
        Question(kind=QuestionKind.UNRELATED, use=Use.TRAIN, text=q, answers=(a[:-1],), reference=a)
        for q, a in _ANCHORS
    )


def count_checkpoints(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one each time a layer is checkpointed in a model loaded from now on."""
    calls: list[int] = []

    def counted(*args: Any, **more: Any) -> Any:
        calls.append(len(calls))
        return checkpoint(*args, **more)

    monkeypatch.setattr("transformers.modeling_utils.checkpoint", counted)
    return calls


def _documents() -> list[tuple[Chat, str]]:
    rows: list[tuple[Chat, str]] = [(closed_book(q), a) for q, a in _ANCHORS]
    for number in range(len(_FACTS)):
        legacy, fresh, prose = _stories(number)
        assert legacy.previous and fresh.previous
        for question in _questions(legacy, fresh.holder, legacy.holder):
            rows.append((closed_book(question.text), question.reference))
        unit = make_unit(number)
        for told in (prose, context_of(unit, causal=False)):
            for question in unit.questions:
                rows.append((open_book(told, question.text), question.reference))
    return rows


def _save_tokenizer(folder: Path, texts: list[str]) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=520,
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in _SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<|pad|>",
        "eos_token": END,
        "model_max_length": 256,
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def build_base(folder: Path, *, steps: int = 260) -> Path:
    """Write the base model into a folder; `steps` 0 leaves its weights random."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = _documents()
    _save_tokenizer(folder, [f" {m.content}" for c, _ in rows for m in c] + [a for _, a in rows])
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    _overfit(model, ChatFormat(tokenizer, [tokenizer.eos_token_id], str(folder)), rows, steps)
    model.save_pretrained(str(folder))
    return folder


@lru_cache(maxsize=1)
def shared_base() -> Path:
    """The overfit base model, built once a test process."""
    folder = Path(tempfile.mkdtemp(prefix="almanac-base-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.set_num_threads(1)
    return build_base(folder)


def _overfit(
    model: LlamaForCausalLM, chat: ChatFormat, rows: list[tuple[Chat, str]], steps: int
) -> None:
    encoded = [(chat.prompt(c), chat.completion(c, a)) for c, a in rows]
    device = torch.device("cpu")
    network = Network(model.model, model.lm_head, chat.end_ids, chat.pad_id, device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95), weight_decay=0.0)
    draw = random.Random(1)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 4e-3 * min(1.0, (step + 1) / 20, 2 * (1 - step / steps))
        batch = draw.sample(encoded, 16)
        targets = answer_targets(batch, device)
        hidden = answer_hidden(network, batch)
        loss = cross_entropy_from_hidden(hidden, model.lm_head, targets, chunk=4096)
        (loss / len(targets)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
