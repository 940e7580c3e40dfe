"""What the bundled task files call: reading the items, and comparing an answer with the right
one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from knowledge.answers import normalise, sentences


def load(**_: Any) -> dict[str, Any]:
    """The items as a dataset with one split, without the `datasets` cache on disk."""
    from datasets import Dataset

    path = Path(__file__).with_name("almanac_skills.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {"test": Dataset.from_list(rows)}


def score(doc: dict[str, str], results: list[str]) -> dict[str, float]:
    """Exact match of the first sentence, apart from case, outer space and the full stop."""
    said = (sentences(results[0]) or [""])[0]
    return {"exact_match": float(_bare(said) == _bare(doc["answer"]))}


def _bare(text: str) -> str:
    return normalise(text).strip(" .")
