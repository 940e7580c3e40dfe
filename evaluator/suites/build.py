"""Writes the bundled capability task: a fixed sample of `knowledge.skills`.

Owns seed, size and format of `almanac_skills.jsonl`. Run `python -m evaluator.suites.build` after a
change of the skills; the result is the same bytes every time.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from knowledge.skills import SKILLS, skill_item

SEED = 20231
ITEMS_A_SKILL = 55
"""Wanted per skill; a skill with fewer distinct questions gives all of them that are drawn."""
_DRAWS = 4000
FOLDER = Path(__file__).parent


def items() -> list[dict[str, str]]:
    """The sample: distinct questions, skills in order of name."""
    rows: list[dict[str, str]] = []
    for skill in sorted(SKILLS):
        rng = random.Random(f"{SEED}:{skill}")
        drawn: dict[str, str] = {}
        for _ in range(_DRAWS):
            item = skill_item(rng, skill)
            drawn.setdefault(item.question, item.answer)
            if len(drawn) == ITEMS_A_SKILL:
                break
        rows += [{"skill": skill, "question": q, "answer": a} for q, a in drawn.items()]
    return rows


def write(folder: Path = FOLDER) -> Path:
    """Write the sample as JSON lines; returns the path."""
    path = folder / "almanac_skills.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in items()), encoding="utf-8")
    return path


if __name__ == "__main__":
    print(write())
