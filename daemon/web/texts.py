"""Numbers, times and quotes as people read them. Pure.

Text from Wikidata and the web is shown as text: control and direction marks that would reorder or
hide what stands beside them are made visible.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from knowledge.facts import Entity, is_local_id
from knowledge.narrative import Evidence, Span
from knowledge.properties import CATALOGUE

SHOWN_CHARS = 4_000
"""Of one text on a page; the whole of it is in the API."""
_KEPT = "\n\t"


def plain(text: object, limit: int = SHOWN_CHARS) -> str:
    """The text with invisible characters written out (`⟨U+202E⟩`), cut where it is very long."""
    value = str(text)
    cut = value[:limit]
    if not cut.isprintable():
        cut = "".join(_visible(c) for c in cut)
    return f"{cut}… ({len(value):,} characters)" if len(value) > limit else cut


def _visible(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs"):
        return character
    return f"⟨U+{ord(character):04X}⟩"


def name(text: object) -> str:
    """A label on a page: one line, and short."""
    return plain(" ".join(str(text).split()), 160)


def utc(time: dt.datetime | None) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M") if time else "–"


def ago(time: dt.datetime | None, now: dt.datetime) -> str:
    """`5 min ago`, `in 3 h`; a dash for none."""
    if time is None:
        return "–"
    seconds = (now - time).total_seconds()
    if abs(seconds) < 45:
        return "just now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def span(seconds: float | None) -> str:
    """A length of time in its largest fitting unit."""
    if seconds is None:
        return "–"
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= size * (1.5 if unit == "d" else 1):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def count(value: int | float | None) -> str:
    return "–" if value is None else f"{value:,}"


def figure(value: float | None, digits: int = 3) -> str:
    """A measured number with a fixed number of significant digits; a dash for none."""
    return "–" if value is None else f"{value:.{digits}g}"


_CRITERIA = {"srr": "SRR", "h_acc": "H-Acc", "m_acc": "M-Acc"}


def criterion(name: str) -> str:
    """The name of a criterion of the gate."""
    return _CRITERIA.get(name, name.replace("_", " ").capitalize())


def measure(row: Mapping[str, Any], field: str) -> str:
    """A number of a criterion: a share in percent, unless it counts."""
    value = row.get(field)
    if value is None:
        return "–"
    told = f"{value:g}" if row.get("test") == "count" else f"{100 * value:.3g} %"
    return told.replace("-", "\N{MINUS SIGN}")


def size(number: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} B"


def property_label(property_id: str) -> str:
    row = CATALOGUE.get(property_id)
    return row.label if row else property_id


def wikidata_url(entity: Entity | None) -> str | None:
    """The item's page; None for ids that are not Wikidata's."""
    if entity is None or not entity.id.startswith("Q") or not entity.id[1:].isdigit():
        return None
    return None if is_local_id(entity.id) else f"https://www.wikidata.org/wiki/{entity.id}"


def web_url(url: str) -> str | None:
    """The URL when it is one that a page may link to."""
    return url if url.startswith(("https://", "http://")) else None


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a snapshot; `claims` are the kinds of the claims that quote it."""

    text: str
    claims: tuple[str, ...]


def marked(evidence: Evidence, spans: Sequence[tuple[str, Span]]) -> list[Piece]:
    """The snapshot in pieces, cut where quotes begin and end. `spans` are (claim kind, span)."""
    text = evidence.text
    mine = [
        (kind, max(0, s.start), min(len(text), s.end))
        for kind, s in spans
        if s.evidence_id == evidence.id
    ]
    cuts = sorted({0, len(text), *(a for _, a, _ in mine), *(b for _, _, b in mine)})
    pieces = [
        Piece(
            text[a:b],
            tuple(dict.fromkeys(kind for kind, start, end in mine if start <= a and b <= end)),
        )
        for a, b in pairwise(cuts)
    ]
    return [piece for piece in pieces if piece.text]
