"""Packaging: what is pinned, what is shipped, what the make targets call."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

UNPINNED = {"vllm"}  # lives in an environment of its own


def requirements(root: Path) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


def pins(root: Path) -> dict[str, Version]:
    lines = (root / "constraints.txt").read_text().split()
    return {canonicalize_name(a): Version(b) for a, b in (line.split("==") for line in lines)}


def test_every_dependency_is_pinned_to_a_version_that_it_allows(root: Path) -> None:
    pinned = pins(root)
    for requirement in requirements(root):
        if requirement.name in UNPINNED:
            continue
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement.name


def test_constraints_name_no_place_to_download_from(root: Path) -> None:
    text = (root / "constraints.txt").read_text()
    assert not re.search(r"://|^-|@", text, re.MULTILINE)


@pytest.mark.parametrize(
    "target", ["demo", "run", "test", "lint", "bench", "bench-doc", "bench-loop"]
)
def test_make_knows_the_target(target: str, root: Path) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=root, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr


def test_torch_is_pinned_alone_and_only_its_index_is_named(root: Path) -> None:
    done = subprocess.run(
        ["make", "--dry-run", "install", "VENV=/nowhere", "TORCH_INDEX=THE-INDEX"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
    )
    named = [line for line in done.stdout.splitlines() if "THE-INDEX" in line]
    assert len(named) == 1
    assert named[0].rstrip().endswith("--index-url THE-INDEX torch==2.13.0")
