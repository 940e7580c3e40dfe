"""Processes that are killed at random while they work on a registry, and what they leave behind.

Owns the worker (registers, promotes, rolls back, collects), the killing, the race of promoters, and
the count of broken promises afterwards. Workers are forks, so that a thousand of them cost little;
none loads torch.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import select as ready
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from daemon.clock import SystemClock
from daemon.errors import AlmanacError, BlobError, Conflict, NotPromotable
from daemon.registry import Blobs, Registry
from daemon.registry.collecting import collect
from daemon.store.engine import Database
from daemon.store.rows import EvaluationRow

ALIAS = "production"
_MOST_STEPS = 6
"""A worker is killed in one of its first steps, or just after it."""
_STEP_S = 0.05
"""About the longest step: the moment of the kill is drawn from as long a time."""
_CHECK_EVERY = 50


@dataclass(slots=True)
class Damage:
    """What a thousand deaths did. Every list and every count but `kills` should be empty."""

    kills: Counter[str] = field(default_factory=Counter)
    """By what the worker was doing."""
    moves: int = 0
    broken: list[str] = field(default_factory=list)
    """Promises that did not hold, in words."""
    left_over: int = 0
    """Scratch folders and blobs without a version that collecting did not take."""
    worker_errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Shop:
    """One registry as a worker has it open."""

    registry: Registry
    database: Database
    blobs: Blobs
    folder: Path

    @classmethod
    def open(cls, folder: Path) -> Shop:
        database = Database.open(f"sqlite:///{folder / 'almanac.db'}")
        blobs = Blobs(folder / "blobs")
        return cls(Registry(database, blobs, SystemClock()), database, blobs, folder)

    def add(self, seed: int) -> str:
        """A registered adapter that the gate passed; its digest."""
        version = self.registry.register(
            write_adapter(self.folder / f"made-{os.getpid()}", seed), base_model="base"
        )
        assert version.digest is not None
        self.passes(version.digest)
        return version.digest

    def passes(self, digest: str) -> None:
        with self.database.write() as session:
            self.registry.add_evaluation(
                session,
                EvaluationRow(
                    adapter_digest=digest,
                    verdict="pass",
                    policy="bench",
                    gate={},
                    evaluation={},
                    created_at=dt.datetime.now(dt.UTC),
                ),
            )


def kill_many(kills: int, seed: str) -> Damage:
    """Kill `kills` workers, one after the other, each at a random moment of its work."""
    damage, draw = Damage(), random.Random(f"kill:{seed}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shop = Shop.open(folder)
        for number in range(4):
            shop.add(number)
        shop.database.close()
        known = 0
        for number in range(kills):
            known = max(known, _one_life(folder, f"{seed}:{number}", draw, damage))
            if number % _CHECK_EVERY == 0 or number == kills - 1:
                _check(folder, known, damage)
        _check_everything(folder, damage)
    return damage


def race(promoters: int, generations: int) -> list[int]:
    """Winners of each generation, when that many processes promote at once what each has decided
    upon at that generation."""
    winners: list[int] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shop = Shop.open(folder)
        digests = [shop.add(seed) for seed in range(promoters)]
        shop.database.close()
        for generation in range(generations):
            winners.append(_round(folder, digests, generation))
            shop = Shop.open(folder)
            present = shop.registry.current()[1]
            digests = [d for d in digests if d != present]
            if len(digests) < promoters:
                digests.append(shop.add(promoters + generation))
            shop.database.close()
    return winners


def write_adapter(folder: Path, seed: int) -> Path:
    """A small, valid LoRA adapter, written byte by byte; its content depends on `seed`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = random.Random(seed).randbytes(128)
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    header = json.dumps(
        {
            f"{module}.lora_{side}.weight": {
                "dtype": "F16",
                "shape": [4, 8] if side == "A" else [8, 4],
                "data_offsets": [64 * place, 64 * place + 64],
            }
            for place, side in enumerate("AB")
        }
    ).encode()
    weights = len(header).to_bytes(8, "little") + header + data
    (folder / "adapter_model.safetensors").write_bytes(weights)
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


# -- workers ------------------------------------------------------------------------------------


def _one_life(folder: Path, seed: str, draw: random.Random, damage: Damage) -> int:
    """Start a worker, kill it; the last generation that it said was committed."""
    reader, writer = os.pipe()
    child = _fork(lambda: _work(folder, seed, writer), also_close=[reader])
    os.close(writer)
    said, steps = b"", draw.randint(1, _MOST_STEPS)
    while said.count(b">") < steps:
        said += _read(reader, 1)[0]
    time.sleep(draw.uniform(0, _STEP_S))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    rest = said + _drain(reader)
    os.close(reader)
    lines = rest.decode().splitlines()
    doing = [line[1:] for line in lines if line.startswith(">")]
    damage.kills[doing[-1] if doing else "starting"] += 1
    damage.worker_errors += [line[1:] for line in lines if line.startswith("!")]
    moves = [int(line[1:]) for line in lines if line.startswith("=")]
    damage.moves += len(moves)
    return max(moves, default=0)


def _work(folder: Path, seed: str, writer: int) -> None:
    """One thing after the other, told before (`>`), moves also after (`=`), until killed."""
    draw = random.Random(seed)
    shop = Shop.open(folder)

    def tell(line: str) -> None:
        os.write(writer, f"{line}\n".encode())

    while True:
        what = draw.choice(["promote", "promote", "rollback", "write", "orphan", "collect"])
        tell(f">{what}")
        try:
            move = _act(shop, what, draw)
        except (Conflict, NotPromotable):
            continue  # nothing to go back to, or there already
        except BlobError as error:
            if "collected" in str(error):
                continue  # chosen, and collected by the worker before
            tell(f"!{what}: {error}")
        except Exception:
            tell(f"!{what}: {traceback.format_exc(limit=1).splitlines()[-1]}")
        else:
            if move:
                tell(f"={move}")


def _act(shop: Shop, what: str, draw: random.Random) -> int:
    """The generation that was reached; 0 for what moves nothing."""
    registry = shop.registry
    if what == "promote":
        passed = [v.digest for v in registry.versions() if v.digest and v.verdict == "pass"]
        digest = draw.choice(passed[-6:])
        return registry.promote(ALIAS, digest, actor="bench", reason="chosen").generation
    if what == "rollback":
        return registry.rollback(actor="bench", reason="drawn").generation
    if what == "write":
        shop.add(draw.getrandbits(32))
    elif what == "orphan":
        shop.blobs.add(write_adapter(shop.folder / f"made-{os.getpid()}", draw.getrandbits(32)))
    else:
        collect(
            shop.database,
            shop.blobs,
            SystemClock(),
            actor="bench",
            older_than=dt.timedelta(seconds=1),
            grace_s=0.5,
        )
    return 0


def _round(folder: Path, digests: list[str], generation: int) -> int:
    """How many of the promoters won."""
    go_reader, go_writer = os.pipe()
    reader, writer = os.pipe()

    def promoter(digest: str) -> None:
        shop = Shop.open(folder)
        shop.registry.verify(digest)
        os.write(writer, b"r")
        os.read(go_reader, 1)  # ends for all at once, when the other end is closed
        try:
            shop.registry.promote(
                ALIAS, digest, actor="b", reason="r", expected_generation=generation
            )
            os.write(writer, b"w")
        except Conflict:
            os.write(writer, b"l")

    children = [
        _fork(lambda d=digest: promoter(d), also_close=[go_writer, reader]) for digest in digests
    ]
    os.close(writer)
    os.close(go_reader)
    _, _ = _read(reader, len(children))
    os.close(go_writer)
    said = _drain(reader)
    os.close(reader)
    for child in children:
        os.waitpid(child, 0)
    if said.count(b"w") + said.count(b"l") != len(children):
        raise RuntimeError("a promoter neither won nor lost")
    return said.count(b"w")


def _fork(work: Callable[[], None], *, also_close: list[int]) -> int:
    """Run `work` in a child; its process id. The child never comes back into the caller's code."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        for handle in also_close:
            os.close(handle)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _read(handle: int, least: int, timeout_s: float = 60.0) -> tuple[bytes, bool]:
    """At least so many bytes, and whether the other end is still open."""
    found = b""
    deadline = time.monotonic() + timeout_s
    while len(found) < least:
        if not ready.select([handle], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise RuntimeError("a worker said nothing in time")
        more = os.read(handle, 65536)
        if not more:
            return found, False
        found += more
    return found, True


def _drain(handle: int) -> bytes:
    found = b""
    while more := os.read(handle, 65536):
        found += more
    return found


# -- promises -----------------------------------------------------------------------------------


def _check(folder: Path, known: int, damage: Damage) -> None:
    """One live version, whole; the chain holds; nothing that was told as done is gone."""
    shop = Shop.open(folder)
    try:
        generation, digest = shop.registry.current()
        moves = shop.registry.history()
        if generation < known:
            damage.broken.append(f"generation {known} was committed, and {generation} stands")
        if len(moves) != generation or (moves and moves[-1].to_digest != digest):
            damage.broken.append(f"alias at {generation}, history of {len(moves)}")
        if (broken := shop.registry.broken_at()) is not None:
            damage.broken.append(f"the chain breaks at {broken}")
        if digest is not None:
            shop.registry.verify(digest)
    except AlmanacError as error:
        damage.broken.append(str(error))
    finally:
        shop.database.close()


def _check_everything(folder: Path, damage: Damage) -> None:
    """Every version that is not given up has its files; what is left over can be collected."""
    shop = Shop.open(folder)
    for version in shop.registry.versions():
        if version.digest is not None and version.purged_at is None:
            try:
                shop.registry.verify(version.digest)
            except AlmanacError as error:
                damage.broken.append(f"version {version.number}: {error}")
    collect(shop.database, shop.blobs, SystemClock(), actor="bench", grace_s=-1.0)
    damage.left_over = len(shop.registry.orphans()) + len(list((folder / "blobs/tmp").glob("*")))
    shop.database.close()
