"""Templates with alternatives, kept as data: one line of a grammar is hundreds of sentences.

Owns the notation and its rendering. In a template `{name}` is a slot, `[a|b|]` a choice,
`@name` a choice that the file defines once under `[macros]`, and `<guard: text>` a stretch that
stands only where the guard holds, and then three times out of four. What slots and guards mean is
the caller's.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("grammar")
_MACRO = re.compile(r"@(\w+)")
_KEPT = 0.75
"""How often a guarded stretch stands where its guard holds."""


@dataclass(frozen=True, slots=True)
class Slot:
    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class Guarded:
    guard: str
    form: Form


Piece = str | Slot | Choice | Guarded
Form = tuple[Piece, ...]


class BadTemplate(ValueError):
    """A template that cannot be read; the message names it."""


def expand(text: str, macros: Mapping[str, Sequence[str]]) -> str:
    """The template with every `@name` written out. Raises BadTemplate for an unknown one."""

    def written(match: re.Match[str]) -> str:
        if match[1] not in macros:
            raise BadTemplate(f"no macro @{match[1]} for {text!r}: define it under [macros]")
        return f"[{'|'.join(macros[match[1]])}]"

    for _ in range(4):
        if "@" not in text:
            return text
        text = _MACRO.sub(written, text)
    raise BadTemplate(f"macros nest too deep in {text!r}")


def parse(text: str) -> Form:
    """A template as pieces. Raises BadTemplate where brackets do not match."""
    form, rest = _sequence(text, 0, "")
    if rest != len(text):
        raise BadTemplate(f"a bracket too many at {rest} of {text!r}")
    return form


def _sequence(text: str, at: int, ends: str) -> tuple[Form, int]:
    pieces: list[Piece] = []
    plain = ""
    while at < len(text) and text[at] not in ends:
        sign = text[at]
        if sign not in "{[<":
            if sign in "]>}" or (sign == "|" and not ends):
                raise BadTemplate(f"a bracket too many at {at} of {text!r}")
            plain += sign
            at += 1
            continue
        if plain:
            pieces.append(plain)
            plain = ""
        piece, at = _bracket(text, at)
        pieces.append(piece)
    if plain:
        pieces.append(plain)
    return tuple(pieces), at


def _bracket(text: str, at: int) -> tuple[Piece, int]:
    try:
        if text[at] == "{":
            end = text.index("}", at)
            return Slot(text[at + 1 : end]), end + 1
        if text[at] == "<":
            colon = text.index(":", at)
            form, at_end = _sequence(text, colon + 1, ">")
            return Guarded(text[at + 1 : colon], form), _closed(text, at_end)
        options: list[Form] = []
        while text[at] != "]":
            form, at = _sequence(text, at + 1, "|]")
            options.append(form)
        return Choice(tuple(options)), at + 1
    except (ValueError, IndexError) as error:
        raise BadTemplate(f"a bracket is not closed in {text!r}") from error


def _closed(text: str, at: int) -> int:
    text[at]  # IndexError where the text ends first
    return at + 1


def render(
    form: Form, rng: random.Random, slot: Callable[[str], str], holds: Callable[[str], bool]
) -> str:
    """One surface of the form; slots are filled from left to right."""
    out: list[str] = []
    for piece in form:
        if isinstance(piece, str):
            out.append(piece)
        elif isinstance(piece, Slot):
            out.append(slot(piece.name))
        elif isinstance(piece, Choice):
            chosen = piece.options[int(rng.random() * len(piece.options))]
            out.append(render(chosen, rng, slot, holds))
        elif rng.random() < _KEPT and holds(piece.guard):
            out.append(render(piece.form, rng, slot, holds))
    return "".join(out)


def surfaces(form: Form) -> int:
    """How many texts a form can give before its slots are filled."""
    count = 1
    for piece in form:
        if isinstance(piece, Choice):
            count *= sum(surfaces(option) for option in piece.options)
        elif isinstance(piece, Guarded):
            count *= 1 + surfaces(piece.form)
    return count


def fixed_text(form: Form) -> str:
    """The longest stretch that every surface of the form has."""
    return max((p.strip() for p in form if isinstance(p, str)), key=len, default="")


@dataclass(frozen=True, slots=True)
class Family:
    """Forms that share one construction. A held-out family never enters the corpus: it measures
    how far reading carries beyond it."""

    name: str
    place: str
    """Where its sentences may stand; what that means is the reader's of the file."""
    about: str
    held: bool
    forms: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """One file of families, and the lists that stand beside them."""

    families: tuple[Family, ...]
    lists: Mapping[str, tuple[Form, ...]]

    def of(self, place: str, about: str, *, held: bool = False) -> tuple[Family, ...]:
        return tuple(
            f for f in self.families if f.place == place and f.about == about and f.held is held
        )


@cache
def load(name: str) -> Grammar:
    """Read `grammar/NAME.toml` and, where there is a folder of that name, all files in it: they may
    use the first one's macros and add to its lists. Raises BadTemplate for a faulty template."""
    families: list[Family] = []
    lists: dict[str, tuple[Form, ...]] = {}
    shared: dict[str, list[str]] = {}
    for path in (FOLDER / f"{name}.toml", *sorted((FOLDER / name).glob("*.toml"))):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        macros = shared | data.get("macros", {})
        shared = shared or macros

        def forms(
            texts: Sequence[str], macros: Mapping[str, Sequence[str]] = macros
        ) -> tuple[Form, ...]:
            return tuple(parse(expand(text, macros)) for text in texts)

        families += (
            Family(
                name=raw["name"],
                place=raw["place"],
                about=raw.get("about", ""),
                held=raw.get("held", False),
                forms=forms(raw["forms"]),
            )
            for raw in data.get("family", ())
        )
        for key, found in data.get("lists", {}).items():
            lists[key] = lists.get(key, ()) + forms(found)
    return Grammar(tuple(families), lists)
