"""Quoted claims: words that an output cites without saying them itself.

Owns where a quotation stands and whether the output adopts it. A name alone in quotes is used, not
cited; so is a quotation that is given as the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evaluator.grammar import OFFICE, R_FALSE, R_TRUE

_QUOTE = re.compile(
    r"“(?P<a>[^”\n]{3,}?)”|\"(?P<b>[^\"\n]{3,}?)\"|«(?P<c>[^»\n]{3,}?)»|„(?P<d>[^“”\n]{3,}?)[“”]"
)
_CLAIM = re.compile(
    rf"\b(?:is|are|was|has been|remains|leads|heads|runs|plays|holds|coaches|{OFFICE})\b|:",
    re.IGNORECASE,
)
_GIVEN_AS_ANSWER = re.compile(
    r"\b(?:answer|reply|response|blank|gap|reads?|write|fill\w*|verdict|say|"
    r"(?:correct|right|true|current|accurate|valid) (?:statement|sentence|one|claim|version|"
    r"headline|"
    r"page|source|option|choice))\b[^\"“«„.]{0,40}$",
    re.IGNORECASE,
)
_OLD = re.compile(r"\b(?:old|former|outdated|previous|earlier|wrong|draft)\s+$", re.IGNORECASE)
_STALE = re.compile(
    r"\b(?:untrue|false|wrong|incorrect|outdated|out of date|mistaken|no longer|not (?:true|"
    r"correct|"
    r"right|accurate))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A quoted claim; offsets of its inside. `denied`: the output calls it false. `adopted`: it is
    called true. `answer`: it is given as the answer."""

    start: int
    end: int
    denied: bool
    adopted: bool
    answer: bool


def quoted_claims(text: str) -> list[Quote]:
    """The claims that the text cites."""
    out: list[Quote] = []
    for match in _QUOTE.finditer(text):
        group = match.lastgroup or "a"
        inside, before, after = match.group(group), text[: match.start()], text[match.end() :]
        outside = len(re.findall(r"\w+", before)) + len(re.findall(r"\w+", after))
        if not _CLAIM.search(inside) or outside < 3:
            continue
        given = _GIVEN_AS_ANSWER.search(before[-80:])
        said = re.split(r"[.;!?](?:\s|$)|,\s", after.lstrip(", "), maxsplit=1)[0]
        denied = bool(R_FALSE.search(said) or _STALE.search(said))
        out.append(
            Quote(
                start=match.start(group),
                end=match.end(group),
                denied=denied,
                answer=given is not None
                and not denied
                and not _OLD.search(before[: given.start()]),
                adopted=bool(R_TRUE.search(said) and not R_FALSE.search(said)),
            )
        )
    return out
