"""A narrative under judgement: its text with names and dates masked, and the words it may use.

Owns what all rules share. The rules themselves are in `grounds`, `telling` and `rules`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from agents.drafting.template import NO_LEGACY
from agents.evidence.causes import name_forms
from agents.evidence.extract import Extraction
from agents.evidence.sources import Dossier
from agents.verifying.dates import mentions
from agents.verifying.verdict import Finding
from knowledge import rendering
from knowledge.narrative import CausalNarrative, Claim, ClaimKind
from knowledge.properties import CATALOGUE

OLD, NEW, SUBJECT, DATE = "\ue000", "\ue001", "\ue002", "\ue003"
"""Marks of one character that stand for a name or a date in masked text."""

WORD = re.compile(r"[^\W\d_](?:[\w'’.-]*\w)?")

_PLAIN = """
a about an and as at became because been before behind but by came cause change changed current
currently date did earlier end ended evidence followed following for former formerly from gave
given had handed happened has have held her him his holder holds in instead into is it its known
later led longer made new no not now of office old on one over place position post present
previous previously reason recorded remained replaced role served serves since source sources
stated succeeded successor taken takes that the their then there they this through time to today
took until used was way were when which who whose why with
"""
"""Words that a claim may use whatever its evidence: grammar, and the verbs of succession."""


@dataclass(frozen=True)
class Case:
    """A narrative with what it is judged by."""

    narrative: CausalNarrative
    dossier: Dossier
    extraction: Extraction

    @cached_property
    def claims(self) -> dict[ClaimKind, Claim]:
        return {claim.kind: claim for claim in self.narrative.claims}

    @cached_property
    def marks(self) -> list[tuple[str, str]]:
        """Names of the change and the mark that stands for each in masked text, longest first."""
        short: dict[str, set[str]] = {}
        for label, mark in self.holders:
            for form in name_forms([label]):
                short.setdefault(form, set()).add(mark)
        forms = {f: next(iter(m)) for f, m in short.items() if len(m) == 1} | dict(self.holders)
        # A label that begins in lower case (`prime minister of X`) begins a sentence in upper case.
        forms |= {rendering.capital(label): mark for label, mark in self.holders}
        return sorted(forms.items(), key=lambda kv: (-len(kv[0]), kv[0]))

    def quoted(self, claim: Claim) -> str:
        return "\n".join(span.text for span in claim.spans)

    @property
    def holders(self) -> list[tuple[str, str]]:
        """Labels of subject, old and new object with their marks."""
        change = self.dossier.change
        named = [(change.subject, SUBJECT), (change.old, OLD), (change.new, NEW)]
        return [(entity.label, mark) for entity, mark in named if entity]

    def unnamed(self, text: str) -> str:
        """The text with names replaced by their marks, dates as they are."""
        for name, mark in self.marks:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", mark, text)
        return text

    def masked(self, text: str) -> str:
        """The text with names and dates replaced by marks of one character."""
        text = self.unnamed(text)
        for mention in reversed(mentions(text)):
            text = text[: mention.start] + DATE + text[mention.end :]
        return text


Rule = Callable[[Case], Iterator[Finding]]


@lru_cache(maxsize=128)
def other_roles(property_id: str) -> re.Pattern[str]:
    """Finds the roles of all other properties, where they are no part of this one's role."""
    own = _title(property_id)
    titles = {title for other in CATALOGUE if (title := _title(other)) not in own}
    found = sorted(titles - {"holder", "office"}, key=lambda t: (-len(t), t))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, found))})\b", re.IGNORECASE)


def _title(property_id: str) -> str:
    """`head of state` out of `the head of state of {s}`."""
    return CATALOGUE[property_id].wording.role.partition("{s}")[0].strip().removeprefix("the ")[:-3]


def finding(rule: str, place: str, message: str) -> Finding:
    return Finding(rule=rule, claim=str(place), message=message)


@lru_cache(maxsize=128)
def vocabulary(property_id: str) -> frozenset[str]:
    """The words that claims about a property may use without evidence: those of the shared surface
    forms, of the property's own wording, and a short list of plain words."""
    wording = CATALOGUE[property_id].wording
    held = [form for forms in rendering.HELD_FORMS.values() for form in forms]
    forms = [
        *rendering.LEGACY_FORMS,
        *rendering.CAUSE_FORMS,
        *rendering.UNKNOWN_CAUSE_FORMS,
        *rendering.TRANSITION_FORMS,
        *rendering.NEW_FORMS,
        *held,
        NO_LEGACY,
        wording.role,
        wording.is_,
        wording.was,
        wording.has_been,
        wording.became,
        wording.left,
        CATALOGUE[property_id].label,
    ]
    words = WORD.findall(re.sub(r"\{\w+\}", " ", " ".join(forms)))
    return frozenset(_PLAIN.split()) | {word.lower() for word in words}
