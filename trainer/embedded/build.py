"""`python -m trainer embedded build`: corpus, tokenizer, pre-training, weights.

Owns the profiles (how much, on what) and the folder that comes out. Reproducible by seed on one
thread; resumable: a run that was stopped goes on from its last saved state, in as many commands as
it takes. With `--start` it goes on from finished weights and keeps their tokenizer.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing as mp
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from knowledge.world import World
from trainer.embedded import WEIGHTS
from trainer.embedded.corpus import Corpus
from trainer.embedded.monitor import survey
from trainer.embedded.network import Network, Shape
from trainer.embedded.packing import Packer, Rows
from trainer.embedded.pretrain import Pretraining, Progress, Schedule
from trainer.embedded.tokenizer import save_tokenizer, train_tokenizer

EARLY = {"memory": 0.3, "article": 0.3, "skill": 0.1, "copy": 0.3}
"""Mix of documents until copying is learnt."""
MAIN = {"memory": 0.18, "article": 0.7, "skill": 0.04, "copy": 0.08}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How much is trained. Work is `steps`, or `seconds` of training where that is given."""

    shape: Shape = field(default_factory=Shape)
    rows: int
    micro_rows: int
    length: int = 512
    steps: int = 0
    seconds: float = 0.0
    workers: int = 0
    schedule: Schedule = field(default_factory=Schedule)
    tokenizer_documents: int = 20_000
    survey: int = 200
    """Questions of each ability that are asked when the training is done."""


PROFILES = {
    "mini": Profile(
        shape=Shape(vocabulary=1024, width=64, layers=2, heads=4, inner=160),
        rows=8,
        micro_rows=8,
        length=256,
        steps=20,
        tokenizer_documents=500,
        survey=4,
    ),
    "cpu": Profile(rows=32, micro_rows=4, seconds=12 * 3600.0, workers=1, survey=60),
    "gpu": Profile(rows=256, micro_rows=256, seconds=960.0, workers=13),
    # As large as 15 MiB of weights allow; a third fewer tokens a second.
    "gpu-large": Profile(
        shape=Shape(width=288, layers=6, heads=9, inner=768),
        rows=256,
        micro_rows=256,
        seconds=960.0,
        workers=13,
    ),
}
_PASSING = 40
"""Questions of each ability after a command that does not end the run."""
_SAVE_EVERY_S = 240.0


def _produce(
    queue: mp.Queue, profile: Profile, tokenizer: str, seed: int, early_until: int
) -> None:
    """A worker: fills the queue with packed rows, the first `early_until` of the early mix."""
    torch.set_num_threads(1)
    packer = Packer(Tokenizer.from_str(tokenizer), profile.length)
    corpus = Corpus(World.load())
    streams = {m: corpus.stream(seed * 2 + m, (MAIN, EARLY)[m]) for m in (0, 1)}
    for number in itertools.count():
        queue.put(packer.rows(streams[int(number < early_until)], profile.rows))


def _batches(profile: Profile, tokenizer: Tokenizer, seed: int, early: int) -> Iterator[Rows]:
    if not profile.workers:
        packer = Packer(tokenizer, profile.length)
        corpus = Corpus(World.load())
        streams = {m: corpus.stream(seed * 2 + m, (MAIN, EARLY)[m]) for m in (0, 1)}
        for number in itertools.count():
            yield packer.rows(streams[int(number < early)], profile.rows)
    context = mp.get_context("spawn")
    queue: mp.Queue = context.Queue(maxsize=64)
    share = -(-early // profile.workers)
    for worker in range(profile.workers):
        args = (queue, profile, tokenizer.to_str(), seed * 1000 + worker, share)
        context.Process(target=_produce, args=args, daemon=True).start()
    while True:
        yield queue.get()


def make_tokenizer(
    profile: Profile, folder: Path, seed: int, start: Path | None = None
) -> Tokenizer:
    """The folder's tokenizer; if it is not there yet, that of the weights to `start` from, else
    one trained on a sample of the corpus."""
    path = folder / "tokenizer.json"
    if not path.exists() and start is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(start / name, folder / name)
    if not path.exists():
        corpus = Corpus(World.load())
        rng = random.Random(seed)
        texts: list[str] = []
        for _ in range(profile.tokenizer_documents):
            document = corpus.document(rng, MAIN)
            texts += [f" {document.article}", *(f" {t}" for pair in document.pairs for t in pair)]
        save_tokenizer(
            train_tokenizer(texts, profile.shape.vocabulary), folder, profile.shape.context
        )
    return Tokenizer.from_file(str(path))


def export(network: Network, folder: Path) -> None:
    """Write config.json and model.safetensors (fp16) as transformers reads them."""
    from safetensors.torch import save_file

    weights = {n: p.detach().cpu().half().contiguous() for n, p in network.named_parameters()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.tmp", metadata={"format": "pt"})
    (folder / "model.tmp").replace(folder / "model.safetensors")
    text = json.dumps(network.shape.config(), indent=1) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The exported weights of a folder, in fp32."""
    from safetensors.torch import load_file

    return {n: t.float() for n, t in load_file(folder / "model.safetensors").items()}


def build(
    profile: Profile,
    out: Path,
    state: Path,
    seed: int,
    limit_s: float | None,
    start: Path | None = None,
) -> Progress:
    """Train (or go on training) and export to `out`; `limit_s` bounds this command alone, from its
    start to its last step (saving and scores come after: allow them a minute).

    `start` is a folder of finished weights to go on from; the early mix is then left out.
    """
    begin = time.monotonic()
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    tokenizer = make_tokenizer(profile, out, seed, start)
    shape = replace(profile.shape, vocabulary=tokenizer.get_vocab_size())
    network = Network(shape).to(device)
    run = Pretraining(network, profile.schedule, micro_rows=profile.micro_rows)
    resumed = run.load(state)
    if start is not None and not resumed:
        network.load_state_dict(read_weights(start))
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{parameters / 1e6:.2f}M parameters, {device.type}, resumed: {resumed}", flush=True)
    _train(run, profile, tokenizer, seed, state, limit_s, begin=begin, warm=start is not None)
    run.save(state)
    export(network, out)
    ended = _share(run.progress, profile) >= 1
    count = profile.survey if ended else min(profile.survey, _PASSING)
    print(survey(network, tokenizer, Corpus(World.load()), seed + 1, count), flush=True)
    print("the run is done" if ended else "not done yet: run the same command again", flush=True)
    return run.progress


def _share(progress: Progress, profile: Profile) -> float:
    if profile.seconds:
        return progress.seconds / profile.seconds
    return progress.steps / profile.steps


def _train(
    run: Pretraining,
    profile: Profile,
    tokenizer: Tokenizer,
    seed: int,
    state: Path,
    limit_s: float | None,
    *,
    begin: float,
    warm: bool,
) -> None:
    cuda = run.device.type == "cuda"
    saved = time.monotonic()
    expected = profile.steps or int(profile.seconds * (5 if cuda else 0.3))
    early = 0 if warm else max(0, expected // 12 - run.progress.steps)

    def until(p: Progress) -> bool:
        nonlocal saved
        if time.monotonic() - saved > _SAVE_EVERY_S:
            run.save(state)
            saved = time.monotonic()
        out_of_time = limit_s is not None and time.monotonic() - begin > limit_s
        return _share(p, profile) >= 1 or out_of_time

    def report(p: Progress, loss: float, accuracy: float) -> None:
        speed = p.tokens / max(p.seconds, 1e-9)
        p.log.append({"step": p.steps, "loss": loss, "accuracy": accuracy, "seconds": p.seconds})
        print(
            f"{p.done:6.1%} step {p.steps} loss {loss:.4f} accuracy {accuracy:.4f} "
            f"{p.tokens / 1e6:.0f}M tokens {speed / 1e3:.0f}k/s {time.monotonic() - begin:.0f} s",
            flush=True,
        )

    run.run(
        _batches(profile, tokenizer, seed + run.progress.steps, early),
        lambda p: _share(p, profile),
        until,
        report,
        100 if cuda else 20,
    )


def main(argv: list[str]) -> int:
    """Command line of `python -m trainer embedded build`."""
    parser = argparse.ArgumentParser(prog="python -m trainer embedded build", description=__doc__)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="cpu")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--state", type=Path, default=Path("build/embedded"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="finished weights to go on from")
    parser.add_argument("--rate", type=float, default=1.0, help="share of the learning rate")
    parser.add_argument(
        "--seconds", type=float, help="length of the whole run, overrides the profile"
    )
    parser.add_argument("--limit", type=float, help="seconds after which this command stops")
    parser.add_argument("--workers", type=int, help="processes that write rows, 0 for none")
    args = parser.parse_args(argv)
    profile = PROFILES[args.profile]
    if args.seconds:
        profile = replace(profile, seconds=args.seconds)
    if args.workers is not None:
        profile = replace(profile, workers=args.workers)
    schedule = profile.schedule
    schedule = replace(
        schedule,
        matrix_lr=schedule.matrix_lr * args.rate,
        vector_lr=schedule.vector_lr * args.rate,
    )
    profile = replace(profile, schedule=schedule)
    progress = build(profile, args.out, args.state, args.seed, args.limit, args.start)
    print(
        f"{progress.steps} steps, {progress.tokens / 1e6:.0f}M tokens in {progress.seconds:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
