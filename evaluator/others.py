"""Somebody else: where an output names a third one as the present holder.

Owns the patterns for a holder that is neither the new nor the old one. The two have been masked
before, so that a capitalised name that is left is another's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from evaluator.grammar import OFFICE
from evaluator.naming import NOT_A_NAME
from knowledge.answers import normalise, sentence_spans

_PART = r"(?:[A-ZÀ-ÝŞŠŽČĐƯ][\w'’.-]*\w|[A-Z]\.|de|da|van|von|al|bin|del|der|of the)"
_HONORIFIC = r"(?:(?:Mr|Ms|Mrs|Dr|Sir|Dame|Lord|Sheikh|Pope|King|Queen)\.? )?"
_T = rf"{_HONORIFIC}(?P<t>[A-ZÀ-ÝŞŠŽČĐƯ][\w'’-]+(?:\s+{_PART}){{0,4}})"
_NOW = r"(?:now |currently |today |still |in fact |actually |at present )*"
_I = rf"(?i:{OFFICE})"
_PATTERNS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        rf"\b{_T}(?:,[^,.;]{{1,70}},|\s*\([^)]*\))?\s+(?:is|remains|has been|serves as)\s+{_NOW}"
        rf"(?:the |its |their |an? )?(?:[\w-]+ ){{0,2}}{_I}\b",
        rf"\b{_I}\b(?:\s(?:of|in|at|for)\s[^.;:,]{{1,50}}?)?(?:,[^,.;]{{1,40}},)?\s+(?:is|remains)\s+{_NOW}"
        rf"[*\"“(]*{_T}",
        rf"\b(?:held|led|headed|run|coached|chaired|governed|managed|occupied|filled) by (?:the )?"
        rf"(?:\w+ )?[*\"“(]*{_T}",
        rf"\b{_T}\s+(?:now |currently |still )?(?:leads|heads|runs|coaches|chairs|governs|holds|"
        rf"manages|"
        rf"presides|rules|reigns)\b",
        rf"\b(?:plays|drives|rides|races|playing)\s(?:\w+ ){{0,2}}(?:for|at)\s+(?:the "
        rf")?[*\"“(]*{_T}",
        rf"\b(?:player|midfielder|striker|forward|defender|goalkeeper|driver|member|captain) "
        rf"(?:of|at|for|with) (?:the )?[*\"“(]*{_T}",
        rf"\b(?:headquartered|based|headquarters|located|seat|head office|home)\b[^.;]{{0,20}}?"
        rf"\b(?:in|at|is)\s+[*\"“(]*{_T}",
        rf"\b(?:capital|club|team|headquarters|answer|name|person|one)\b[^.;:]{{0,40}}?\b(?:is|:)\s+"
        rf"{_NOW}(?:called )?(?:the )?[*\"“(]*{_T}",
        rf"\b(?:[Ii]t|[Tt]hat|he|she)(?: is|['’]s) {_NOW}[*\"“(]*{_T}\s*[.,;*]",
        rf"\bnot\b[^.;]{{0,40}}\bbut (?:rather |instead )?{_T}",
        rf"\b(?:replaced|succeeded|followed) by (?:\w+ )?{_T}",
        rf"(?:^|[.;:,—]\s){_T}\s+is\b(?=\s*[.,;]|$)",
        rf"^\W*(?:Team|Club|Coach|President|Answer|Name|Current|Head|CEO|Leader|Capital)\W*:\W*{_T}",
    )
)
_BARE = re.compile(rf"^\W*{_T}\W*$")


def others_named(text: str, masked: Iterable[tuple[int, int]]) -> list[int]:
    """Where somebody else is given as the present holder; offsets in the text, in order. `masked`:
    spans of the new and old holder and of the subject."""
    letters = list(text)
    for a, b in masked:
        letters[a:b] = "\ue003" * (b - a)
    blank = "".join(letters)
    found = [m.start("t") for p in _PATTERNS for m in p.finditer(blank) if _is_name(m.group("t"))]
    for a, b in sentence_spans(text)[:1]:
        bare = _BARE.match(blank[a:b])
        if bare and _is_name(bare.group("t")):
            found.append(a)
    return sorted(found)


def _is_name(found: str) -> bool:
    first = normalise(found.split()[0])
    return first not in NOT_A_NAME and not re.fullmatch(_I, found)
