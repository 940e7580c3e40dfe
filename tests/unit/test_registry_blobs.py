"""Blobs: whole or absent, whatever kills the writer; only acceptable adapters are taken."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daemon.errors import BlobError
from daemon.registry import Blobs
from tests.daemon_support import adapter_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def test_the_digest_is_that_of_the_content(blobs: Blobs, tmp_path: Path) -> None:
    one = blobs.add(adapter_folder(tmp_path / "a", 1))
    same = blobs.add(adapter_folder(tmp_path / "b", 1))
    other = blobs.add(adapter_folder(tmp_path / "c", 2))
    assert one == same
    assert other.digest != one.digest
    assert blobs.digests() == sorted([one.digest, other.digest])
    assert one.path == blobs.path(one.digest) == blobs.verify(one.digest)
    assert one.size_bytes == sum(p.stat().st_size for p in one.path.iterdir())


def test_stored_files_are_read_only_and_nothing_else_is_taken(blobs: Blobs, tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path / "a")
    (folder / "README.md").write_text("a card")
    (folder / "manifest.json").write_text("{}")
    blob = blobs.add(folder)
    names = sorted(p.name for p in blob.path.iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors", "manifest.json"]
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o444 for p in blob.path.iterdir())
    assert list((tmp_path / "blobs" / "tmp").iterdir()) == []


def _break(folder: Path, how: str) -> None:
    weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    match how:
        case "pickle":
            (folder / "optimizer.pt").write_bytes(b"\x80\x04")
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-8])
        case "longer":
            weights.write_bytes(weights.read_bytes() + b"\0")
        case "header":
            weights.write_bytes((2**40).to_bytes(8, "little") + b"{}")
        case "no json":
            weights.write_bytes((4).to_bytes(8, "little") + b"nope")
        case "integers":
            data = weights.read_bytes().replace(b'"F32"', b'"I32"')
            weights.write_bytes(data)
        case "missing":
            weights.unlink()
        case "link":
            target = folder.parent / "elsewhere"
            weights.rename(target)
            weights.symlink_to(target)
        case "mapping":
            known = json.loads(config.read_text())
            config.write_text(json.dumps({**known, "auto_mapping": {"parent_library": "os"}}))
        case "method":
            config.write_text(json.dumps({"peft_type": "PROMPT_TUNING"}))
        case "head":
            known = json.loads(config.read_text())
            config.write_text(json.dumps({**known, "target_modules": ["q_proj", "lm_head"]}))
        case "unnamed target":
            known = json.loads(config.read_text())
            config.write_text(json.dumps({**known, "target_modules": ["v_proj"]}))
        case "saved modules":
            known = json.loads(config.read_text())
            config.write_text(json.dumps({**known, "modules_to_save": ["lm_head"]}))
        case "odd tensor":
            weights.write_bytes(weights.read_bytes().replace(b"lora_B.weight", b"lora_C.weight"))
        case "rank":
            config.write_text(json.dumps({"peft_type": "LORA", "r": "16"}))


@pytest.mark.parametrize(
    "how",
    [
        "pickle",
        "cut",
        "longer",
        "header",
        "no json",
        "integers",
        "missing",
        "link",
        "mapping",
        "method",
        "head",
        "unnamed target",
        "saved modules",
        "odd tensor",
        "rank",
    ],
)
def test_what_is_no_plain_adapter_is_refused(blobs: Blobs, tmp_path: Path, how: str) -> None:
    folder = adapter_folder(tmp_path / "a")
    _break(folder, how)
    with pytest.raises(BlobError):
        blobs.add(folder)
    assert blobs.digests() == []


def test_altered_and_missing_files_are_noticed(blobs: Blobs, tmp_path: Path) -> None:
    blob = blobs.add(adapter_folder(tmp_path / "a"))
    (blob.path / "extra").write_text("x")
    with pytest.raises(BlobError, match="altered"):
        blobs.verify(blob.digest)
    with pytest.raises(BlobError, match="missing"):
        blobs.verify("0" * 64)
    with pytest.raises(BlobError, match="no sha256"):
        blobs.path("../../etc")


def test_a_damaged_blob_is_mended_by_adding_it_again(blobs: Blobs, tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path / "a")
    blob = blobs.add(folder)
    weights = blob.path / "adapter_model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(b"damaged")
    assert blobs.add(folder).digest == blob.digest
    blobs.verify(blob.digest)


def test_many_writers_of_one_adapter(blobs: Blobs, tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path / "a")
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(blobs.add(folder).digest)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1
    blobs.verify(found[0])


_WRITER = """
import sys, itertools
from pathlib import Path
from daemon.registry.blobs import Blobs
root = Path(sys.argv[1])
blobs = Blobs(root / "blobs")
folders = sorted(root.glob("a*"))
print("ready", flush=True)
for folder in itertools.cycle(folders):
    blobs.add(folder)
"""


def test_a_killed_writer_leaves_whole_blobs_only(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    for seed in range(64):
        adapter_folder(tmp_path / f"a{seed}", seed)
    for delay_s in (0.01, 0.05):
        child = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    for digest in blobs.digests():
        blobs.verify(digest)
    blobs.sweep(older_than_s=-1.0)
    assert list((tmp_path / "blobs" / "tmp").iterdir()) == []
