"""What the embedded model weighs and how fast it is, and whether its build is reproducible.

Each figure is taken in a process of its own, so that nothing else is in its memory.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from daemon.bench.rows import ROOT, Op, Row

_MIB = 2**20

_ENGINE = """
import json, re, sys, time, random
from pathlib import Path
import torch
from knowledge import questions as ask
from knowledge.model import Sampling
from knowledge.rendering import closed_book
from knowledge.world import World
from trainer.engines.transformers import TransformersEngine

folder, rounds = sys.argv[1], int(sys.argv[2])
engine = TransformersEngine.load(folder, threads=2)
told = [s.legacy_story() for s in World.load().successions]
rng = random.Random(1)
chats = [
    closed_book(rng.choice(ask.explain(s, ask.Use.EXAM)).text)
    for s in rng.sample([s for s in told if s.previous], 64)
]
best = 0.0
for _ in range(rounds):
    started = time.perf_counter()
    made = engine.generate(chats, Sampling(max_new_tokens=64))
    spent = time.perf_counter() - started
    best = max(best, sum(g.tokens for row in made for g in row) / spent)
# not ru_maxrss: a child is born with its parent's peak
kib = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps({"tokens_per_s": best, "rss_mb": kib * 1024 / 1e6}))
"""

_MINI = """
import sys
from pathlib import Path
import torch
from trainer.embedded.build import PROFILES, build
torch.set_num_threads(1)
folder = Path(sys.argv[1])
build(PROFILES["mini"], folder, folder / "state", 1, None)
"""


def rows(folder: Path, *, quick: bool) -> list[Row]:
    """Size, resident memory, generated tokens a second, and two builds of the `mini` profile."""
    size = sum(f.stat().st_size for f in folder.glob("*.safetensors")) / _MIB
    measured = json.loads(_child(_ENGINE, str(folder), "1" if quick else "5").splitlines()[-1])
    return [
        _row("weights", size, "MiB", 15, Op.AT_MOST, folder.name),
        _row("engine process, resident", measured["rss_mb"], "MB", 700, Op.AT_MOST, "batch 64"),
        _row(
            "generation at batch 64",
            measured["tokens_per_s"],
            "tokens/s",
            2500,
            Op.AT_LEAST,
            "explanations of up to 64 tokens, two threads, best of five",
        ),
        _reproducible(quick=quick),
    ]


def _reproducible(*, quick: bool) -> Row:
    what = "different results of two mini builds"
    if quick:
        reason = "QUICK=1: a unit test builds it twice"
        return Row(what=what, value=None, unit="", bar=0, op=Op.EQUAL, detail=reason)
    digests = {_mini_digest() for _ in range(2)}
    detail = f"one thread; {min(digests)[:12]}"
    return _row(what, len(digests) - 1, "", 0, Op.EQUAL, detail)


def _mini_digest() -> str:
    with tempfile.TemporaryDirectory() as scratch:
        _child(_MINI, scratch)
        weights = (Path(scratch) / "model.safetensors").read_bytes()
        return hashlib.sha256(weights + (Path(scratch) / "tokenizer.json").read_bytes()).hexdigest()


def _child(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a measuring process failed: {done.stderr.strip()[-500:]}")
    return done.stdout.strip()


def _row(what: str, value: float, unit: str, bar: float, op: Op, detail: str) -> Row:
    return Row(what=what, value=round(value, 2), unit=unit, bar=bar, op=op, detail=detail)
