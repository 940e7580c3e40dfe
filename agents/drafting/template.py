"""The deterministic drafter: a narrative out of statements alone, in the shared surface forms.

Owns the choice of forms (seeded by the change and the attempt). The forms are in
`knowledge.rendering`, so that models read what they were made to read.
"""

from __future__ import annotations

import hashlib
import random

from agents.drafting.draft import Draft, DraftRequest, narrative_of, story_of
from knowledge.edits import Known
from knowledge.narrative import CausalNarrative
from knowledge.rendering import CAUSE_UNKNOWN, ORDERS, Story, capital, claim_sentences, on

NAME = "template/1"

NO_LEGACY = "No earlier state is stated."
"""The legacy claim of a fact that begins."""


class TemplateDrafter:
    """`Drafter` without a model: same change, same evidence, same attempt, same bytes."""

    @property
    def identity(self) -> str:
        return NAME

    async def draft(self, request: DraftRequest) -> Draft:
        return Draft(narrative=write(request), usage={"drafter": NAME})


def write(request: DraftRequest) -> CausalNarrative:
    """The narrative of a request; pure."""
    story = story_of(request)
    place = f"{request.change.key}/{request.attempt}"
    place += f"/{request.version}" if request.version else ""
    seed = hashlib.sha256(place.encode()).digest()
    rng = random.Random(int.from_bytes(seed[:8], "big"))
    sentences = claim_sentences(story, rng)
    if story.previous is None:
        sentences = _beginning(story, sentences["N"])
    orders = [o for o in ORDERS if o[0] == "N"] if request.known is Known.NEITHER else ORDERS
    return narrative_of(request, sentences, rng.choice(orders), drafter=NAME, lineage={})


def _beginning(story: Story, new: str) -> dict[str, str]:
    when = f" {on(story.since)}" if story.since else ""
    return {
        "L": NO_LEGACY,
        "C": CAUSE_UNKNOWN,
        "T": f"{capital(story.says('became', story.holder.label))}{when}.",
        "N": new,
    }
