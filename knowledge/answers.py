"""Reading answers: normalisation, names in text, sentences, and the answer that a text commits to.

Owns one matcher for the trainer's checks and the evaluator's judges, so that both read the same
text the same way. Knows no question and gives no verdict.

Names match whole words, in any accepted form: case, diacritics, dashes, quotes, initials with or
without dots or spaces, `ö`/`oe`, `-sky`/`-skyy`/`-skiy` are one. Names of at most two letters, and
acronyms of at most four, keep their case (`US` is not `us`, `WHO` not `who`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

_SPECIAL = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u0060\u00b4\u02bc\u02bb\u02b9\u02bf\u2032", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u2039\u203a", '"'),
    **dict(zip("łøđıæœþðħŋ", ("l", "o", "d", "i", "ae", "oe", "th", "d", "h", "n"), strict=True)),
}
_UMLAUT = {"ä": "(?:a|ae)", "ö": "(?:o|oe)", "ü": "(?:u|ue)", "ø": "(?:o|oe)", "å": "(?:a|aa)"}
_HYPHENS = "-\u2010\u2011"
_SKY = re.compile(r"sk(?:yy|iy|ij|yi|y|i)$")
_SKY_PATTERN = "sk(?:yy|iy|ij|yi|y|i)"
_UNSPACED = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_PARTICLES = frozenset(
    re.findall(
        r"\w+",
        "de da di do dos du del della der den van von zu zum la le el al bin ibn ben abu ter ten",
    )
)
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})


def _is_mark(char: str) -> bool:
    """A diacritic that comparison ignores. Kana voicing marks and Indic vowels are not."""
    code = ord(char)
    return 0x300 <= code <= 0x36F or 0x591 <= code <= 0x5C7 or 0x64B <= code <= 0x65F


@lru_cache(maxsize=4096)
def _fold_char(char: str) -> str:
    text = "".join(_SPECIAL.get(c, c) for c in unicodedata.normalize("NFKC", char).casefold())
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not _is_mark(c))
    out = unicodedata.normalize("NFC", "".join(_SPECIAL.get(c, c) for c in bare))
    kept = (c for c in out if unicodedata.category(c) != "Cf")
    return "".join(" " if c.isspace() else c for c in kept)


def _fold(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters the index of the original one."""
    if text.isascii():
        return re.sub(r"\s", " ", text.casefold()).replace("`", "'"), list(range(len(text)))
    out: list[str] = []
    origin: list[int] = []
    for index, char in enumerate(text):
        folded = _fold_char(char)
        out.append(folded)
        origin.extend([index] * len(folded))
    return "".join(out), origin


def normalise(text: str) -> str:
    """The text for comparison: NFKC, casefolded, without diacritics, with one kind of dash, quote
    and space, and no outer space."""
    return " ".join(_fold(text)[0].split())


def _token_pattern(token: str) -> str:
    """Regex over folded text for one word of a name; `token` keeps its diacritics."""
    stem = normalise(token)
    if len(stem) >= 6 and _SKY.search(stem):
        cut = len(token) - (len(stem) - _SKY.search(stem).start())  # type: ignore[union-attr]
        return _token_pattern(token[:cut]) + _SKY_PATTERN
    parts: list[str] = []
    for char in unicodedata.normalize("NFC", token).casefold():
        if char in _UMLAUT:
            parts.append(_UMLAUT[char])
            continue
        for folded in _fold_char(char):
            if folded == "'":
                parts.append("'?")
            elif folded == ".":
                parts.append(r"\.?")
            elif folded == "&":
                parts.append("(?:&|and)")
            else:
                parts.append(re.escape(folded))
    return "".join(parts)


@lru_cache(maxsize=8192)
def _pattern(name: str) -> re.Pattern[str] | None:
    """Regex over folded text for one name, without the check of case; None for an empty name."""
    spaced = re.sub(
        r"(?<![^\W\d_]{2})(?<=[^\W\d_])\.(?=\w)", ". ", unicodedata.normalize("NFKC", name)
    )
    tokens = [t for t in re.split(rf"[\s{re.escape(_HYPHENS)}\u2013]+", spaced) if normalise(t)]
    if not any(c.isalnum() for c in name):
        return None
    lead = ""
    if len(tokens) > 1 and tokens[0].casefold() == "the" and len(tokens[-1]) > 2:
        tokens, lead = tokens[1:], r"(?:the\s+)?"
    initials = [len(t.rstrip(".")) == 1 for t in tokens]
    body = _token_pattern(tokens[0])
    for index in range(1, len(tokens)):
        gap = r"[\s-]*" if initials[index - 1] else r"[\s-]+"
        if index == len(tokens) - 1 and len(tokens) > 1 and not any(initials):
            gap += r"(?:[a-z]\.\s*)?"  # a middle initial that the accepted name leaves out
        body += gap + _token_pattern(tokens[index])
    if _UNSPACED.search(name):
        return re.compile(body)
    return re.compile(rf"(?<![^\W_]){lead}{body}(?![^\W_])")


def _keeps_case(name: str) -> bool:
    letters = [c for c in name if c.isalnum()]
    short = len(letters) <= 2
    return short or (len(letters) <= 4 and "".join(letters).isupper())


def _case_agrees(name: str, found: str) -> bool:
    if not _keeps_case(name):
        return True
    return [c for c in name if c.isalnum()] == [c for c in found if c.isalnum()]


def _in_compound(text: str, start: int, end: int) -> bool:
    """Part of a hyphenated name: `Smith` in `Smith-Jones`, but not `Paris` in `Paris-based`."""
    if end + 1 < len(text) and text[end] in _HYPHENS and text[end + 1].isupper():
        return True
    return start >= 2 and text[start - 1] in _HYPHENS and text[start - 2].isalpha()


def find_mentions(text: str, names: Iterable[str]) -> list[tuple[int, int]]:
    """Where any of the names occurs: (start, end) offsets in the original text, in order of place,
    the longest where several overlap."""
    folded, origin = _fold(text)
    spans: set[tuple[int, int]] = set()
    for name in names:
        pattern = _pattern(name)
        if pattern is None:
            continue
        for match in pattern.finditer(folded):
            start, end = origin[match.start()], origin[match.end() - 1] + 1
            while end < len(text) and _is_mark(text[end]):
                end += 1
            if _case_agrees(name, text[start:end]) and not _in_compound(text, start, end):
                spans.add((start, end))
    return _longest(spans)


def _longest(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda s: (s[0] - s[1], s[0])):
        if all(end <= a or start >= b for a, b in kept):
            kept.append((start, end))
    return sorted(kept)


def mentions(text: str, names: Iterable[str]) -> bool:
    """Whether any accepted name occurs in the text as whole words."""
    return bool(find_mentions(text, names))


def safe_surnames(names: Sequence[str], others: Iterable[str] = ()) -> tuple[str, ...]:
    """Surnames by which a person may be meant in this context, beyond the explicit names.

    The last word of a name of two or more words (with particles such as `van der`; `Jr.` apart), if
    it has at least four letters and occurs in none of `others`: the rivals' names, the subject, the
    question. For persons only; the caller knows what the names stand for.
    """
    taken = {word for other in others for word in re.findall(r"\w+", normalise(other))}
    found: list[str] = []
    for name in names:
        words = name.replace(",", " ").split()
        words = [w for w in words if normalise(w).strip(".") not in _SUFFIXES]
        if len(words) < 2:
            continue
        start = len(words) - 1
        while start > 1 and normalise(words[start - 1]) in _PARTICLES:
            start -= 1
        last = re.findall(r"\w+", normalise(words[-1]))
        if not last or sum(map(len, last)) < 4 or any(word in taken for word in last):
            continue
        found += [" ".join(words[start:]), words[-1]]
    return tuple(dict.fromkeys(n for n in found if n not in names))


_ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        "dr mr mrs ms prof st rev hon gen col lt sgt capt gov sen rep pres vs approx "
        "jan feb mar apr jun jul aug sep sept oct nov dec e.g i.e u.s u.k",
    )
)
_BEFORE_NUMBER = frozenset({"no", "nr", "c", "ca", "p", "pp", "vol"})
_BEFORE_LETTER = frozenset({"is", "option", "answer", "choice", "letter", "or", "and", "be"})
_END = re.compile(r"[.!?\u2026]+[\"'\u2019\u201d)\]*_]*(?=\s|$)|\n+|[\u3002\uff01\uff1f]")
_ACRONYM = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_STARTER = re.compile(
    r"(?:The|This|That|These|It|He|She|They|His|Her|Its|In|On|At|As|So|Since|After|Before|But|And|"
    r"However|Therefore|Thus|Hence|Today|Now|Then|Until|Previously|Earlier|Behind|What|No|Yes)\b"
)
_LIST_MARK = re.compile(r"^\s*(?:\d{1,2}|[A-Za-z])[.)]\s*$")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Offsets of the sentences, without outer space. Abbreviations, initials, list numbers and
    `1. FC ...` do not end one; a line break does."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        if match.end() < len(text) and not _ends(text, start, match):
            continue
        spans.append((start, match.end()))
        start = match.end()
    spans.append((start, len(text)))
    trimmed = [_trim(text, a, b) for a, b in spans]
    return [(a, b) for a, b in trimmed if any(c.isalnum() for c in text[a:b])]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, max(start + left, start + len(piece.rstrip()))


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    mark = match.group()
    if mark[0] != "." or mark.startswith(".."):
        return True
    if _LIST_MARK.match(text[start : match.end()]):
        return False
    words = text[start : match.start()].split()
    word = words[-1].strip("(\"'\u201c\u2018*") if words else ""
    rest = text[match.end() :].lstrip()
    if word.casefold() in _ABBREVIATIONS:
        return False
    if _ACRONYM.fullmatch(word) and not _STARTER.match(rest):
        return False
    if word.casefold() in _BEFORE_NUMBER and rest[:1].isdigit():
        return False
    if len(word) == 1 and word.isupper() and not _names_option(words, rest):
        return False
    if word.isdigit() and len(word) <= 2 and re.match(r"[A-Z]{2,4}\b", rest):
        return False
    return not (rest[:1].isalpha() and rest[:1].islower())


def _names_option(words: list[str], rest: str) -> bool:
    """The single letter that ends `words` stands for an option (`the answer is B`)
    rather than for an initial (`the chair is C. C. Wei`)."""
    if words[-1].strip("(\"'*") not in ("A", "B", "C", "D") or re.match(r"[A-Z]\.", rest):
        return False
    before = words[-2].casefold().strip("*\"'") if len(words) > 1 else ""
    return before in _BEFORE_LETTER or before.endswith(":")


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, with their closing marks."""
    return [text[a:b] for a, b in sentence_spans(text)]


_ANSWER_IS = re.compile(
    r"(?:\b(?:the|my)\s+)?\b(?:(?:final|correct|right|current|present|short|updated)\s+)*answer"
    r"(?:\s+(?:to|for)\s+[^.:?]*?)?(?:\s+(?:is|would\s+be|remains)\b(?!\s+not\b)(?:\s*:)?|\s*:)\s*",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_SO = re.compile(
    r"(?:^|(?<=[;,:\u2014]\s))[\"'*_\s]*(?:and\s+|but\s+)?"
    r"(?:so|therefore|thus|hence|consequently|accordingly|in conclusion|in short|in summary|"
    r"to conclude|to sum up|overall|conclusion|as a result)\b"
    r"(?!\s+(?:far|that|called|much|many|long|on)\b)[,:]?\s+",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:was|were|used to|until|formerly|former|previously|earlier|before|had been|left|resigned|"
    r"stepped down|no longer|born|replaced|succeeded|reason|because)\b",
    re.IGNORECASE,
)


def final_answer(text: str) -> str:
    """The part of the text that it commits to in the end, a verbatim piece of it, "" if empty.

    The last of: what follows "the answer is", "Answer:", a boxed answer, or "So"/"Therefore" at the
    start of a sentence or clause. Without any of these: the first sentence where the answer comes
    first (a fragment, or a statement in the present), else the last statement in the present, else
    the last sentence.
    """
    committed = conclusion(text)
    if committed:
        return text[slice(*committed)]
    said = sentences(text)
    if not said:
        return ""
    if len(said) == 1 or not _PAST.search(said[0]):
        return said[0]
    present = [s for s in said if not _PAST.search(s)]
    return (present or said)[-1]


def conclusion(text: str) -> tuple[int, int] | None:
    """Offsets of the last explicitly marked conclusion, without its marker; None where none is."""
    for start, end in reversed(sentence_spans(text)):
        found = _committed(text[start:end])
        if found:
            return start + found[0], start + found[1]
    return None


def _committed(sentence: str) -> tuple[int, int] | None:
    boxed = list(_BOXED.finditer(sentence))
    if boxed and boxed[-1].group(1).strip():
        return boxed[-1].span(1)
    answers = list(_ANSWER_IS.finditer(sentence))
    if answers:
        start, rest = answers[-1].end(), sentence[answers[-1].end() :]
        kept = rest.strip(" .*_\"'")
        if kept:
            start += rest.index(kept)
            return start, start + len(kept)
    marks = list(_SO.finditer(sentence))
    return (marks[-1].end(), len(sentence)) if marks and marks[-1].end() < len(sentence) else None
