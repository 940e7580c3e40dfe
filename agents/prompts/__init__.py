"""The prompts, one versioned file each. Their hashes go into the lineage of what they made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as shipped: its name, its text, and the sha256 (hex) of the text."""

    name: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@lru_cache(maxsize=16)
def prompt(name: str) -> Prompt:
    """The prompt of that name. Raises FileNotFoundError for one that does not ship."""
    return Prompt(name, (_FOLDER / f"{name}.md").read_text(encoding="utf-8").strip())
