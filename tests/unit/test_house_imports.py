"""Imports: every foreign package is declared, and the packages' contracts hold."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = ("knowledge", "agents", "trainer", "evaluator", "daemon", "migrations")
COMES_WITH = {
    "starlette": "fastapi",
    "sqlalchemy": "sqlmodel",
    "anyio": "fastapi",
    "typing-extensions": "pydantic",
    "langgraph-checkpoint": "langgraph",
    "langsmith": "langgraph",
    "huggingface-hub": "transformers",
    "tokenizers": "transformers",
    "numpy": "torch",
}
"""Packages that are part of the interface of one that we declare."""


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", OURS)
def test_every_foreign_import_is_a_declared_dependency(package: str, root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {canonicalize_name(Requirement(text).name) for group in groups for text in group}
    distributions = packages_distributions()
    undeclared: dict[str, str] = {}
    for path in sorted((root / package).rglob("*.py")):
        for name in imported(path) - set(OURS) - set(sys.stdlib_module_names) - {"vllm"}:
            owners = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
            owners |= {COMES_WITH[owner] for owner in owners if owner in COMES_WITH}
            if not owners & declared:
                undeclared[name] = str(path.relative_to(root))
    assert not undeclared


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("knowledge", {"torch", "httpx", "sqlmodel", "sqlalchemy", "langgraph", "openai"}),
        ("agents", {"torch", "transformers", "sqlmodel", "sqlalchemy", "fastapi"}),
        ("evaluator", {"torch", "transformers", "sqlmodel", "sqlalchemy", "fastapi"}),
        ("trainer", {"httpx", "sqlmodel", "sqlalchemy", "fastapi", "langgraph", "openai"}),
    ],
)
def test_a_room_keeps_to_its_own_trade(package: str, forbidden: set[str], root: Path) -> None:
    trespasses = {
        str(path.relative_to(root)): sorted(imported(path) & forbidden)
        for path in (root / package).rglob("*.py")
        if imported(path) & forbidden
    }
    assert not trespasses
