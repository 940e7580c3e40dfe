"""How far two judges agree: Cohen's kappa and the share of equal flags, flag by flag.

Owns the comparison of two verdict tables over the same outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from evaluator.errors import SuiteError
from evaluator.refutation import refutation
from evaluator.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One flag under two judges. `kappa` is None where both gave one and the same value
    throughout.
    """

    flag: str
    n: int
    equal: float
    kappa: float | None


_FLAGS: dict[str, Callable[[Verdict], Hashable]] = {
    "right": lambda row: row.right,
    "asserts_new": lambda row: row.asserts_new,
    "negates_new": lambda row: row.negates_new,
    "asserts_old_current": lambda row: row.asserts_old_current,
    "final": lambda row: row.final,
    "says_yes": lambda row: row.says_yes,
    "cause": lambda row: row.cause,
    "self_refuting": lambda row: refutation(row) is not None,
}


def kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa of paired labels; None when chance alone would agree always, or without
    pairs.
    """
    n = len(pairs)
    if n == 0:
        return None
    observed = sum(a == b for a, b in pairs) / n
    values = {value for pair in pairs for value in pair}
    expected = sum(
        (sum(a == v for a, _ in pairs) / n) * (sum(b == v for _, b in pairs) / n) for v in values
    )
    return None if expected >= 1 else (observed - expected) / (1 - expected)


def agreement(first: Sequence[Verdict], second: Sequence[Verdict]) -> list[Agreement]:
    """Flag by flag, over the rows that both judges have a verdict on. Raises SuiteError when the
    tables are not about the same probes."""
    if [row.probe for row in first] != [row.probe for row in second]:
        raise SuiteError("the two tables are about different probes; judge the same outputs twice")
    both = [(a, b) for a, b in zip(first, second, strict=True) if not (a.error or b.error)]
    out: list[Agreement] = []
    for flag, value in _FLAGS.items():
        pairs = [(value(a), value(b)) for a, b in both]
        equal = sum(a == b for a, b in pairs) / len(pairs) if pairs else 0.0
        out.append(Agreement(flag=flag, n=len(pairs), equal=equal, kappa=kappa(pairs)))
    return out
