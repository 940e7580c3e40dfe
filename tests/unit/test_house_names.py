"""The names of the packages: they are ours, and stay cheap to import."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("knowledge", "agents", "trainer", "evaluator", "daemon", "migrations")
HEAVY = ("torch", "transformers", "vllm", "langgraph", "trl", "peft", "lm_eval", "scipy")
NAMESAKES = ("openai-agents", "python-daemon", "trainer", "coqui-tts-trainer")


def loaded_by(statement: str, root: Path) -> set[str]:
    """Top-level modules that are loaded after `statement` in a fresh interpreter."""
    script = f"{statement}\nimport sys\nprint('\\n'.join({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_resolves_to_this_checkout(name: str, root: Path) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"{name} cannot be imported"
    places = [Path(p).resolve() for p in spec.submodule_search_locations or ()]
    assert places == [root / name]


def test_no_namesake_is_a_dependency(root: Path) -> None:
    pinned = {
        line.split("==")[0].lower() for line in (root / "constraints.txt").read_text().splitlines()
    }
    assert not pinned.intersection(NAMESAKES)


def test_the_command_line_loads_nothing_heavy(root: Path) -> None:
    assert not loaded_by("import daemon.cli.commands", root).intersection(HEAVY)


def test_the_gateway_without_an_engine_loads_no_torch(root: Path) -> None:
    assert not loaded_by("import daemon.serving.gateway", root).intersection(HEAVY)


@pytest.mark.parametrize("module", ["facts", "edits", "questions", "rendering", "world", "answers"])
def test_the_vocabulary_knows_no_network_no_torch_no_database(module: str, root: Path) -> None:
    loaded = loaded_by(f"import knowledge.{module}", root)
    assert not loaded.intersection({"torch", "httpx", "sqlalchemy", "sqlmodel", "langgraph"})
