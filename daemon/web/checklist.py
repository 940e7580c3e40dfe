"""The verifier's rules as a reviewer reads them. Owns their wording; pure."""

from __future__ import annotations

from collections.abc import Iterable

CHECKS = {
    "claims": "the four sentences are there",
    "quotes": "every quote stands in its stored source",
    "support": "every sentence rests on a quote",
    "prose": "the text is its sentences and nothing else",
    "hygiene": "no instructions, links or hidden characters",
    "labels": "names are names",
    "words": "no word that the quotes do not say",
    "names": "every name is quoted",
    "dates": "every date is quoted",
    "numbers": "every number is quoted",
    "tense": "the old is past, the new is present",
    "direction": "old and new are not turned round",
    "role": "it is about this property",
    "cause": "the cause is stated by a source, or said to be unknown",
    "length": "short enough to be taught",
}
"""By the name that a finding gives its rule, in the order of the page."""


def passed(failed: Iterable[str]) -> list[str]:
    """What holds, where the rules of these names found something."""
    names = set(failed)
    return [text for rule, text in CHECKS.items() if rule not in names]
