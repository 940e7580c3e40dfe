"""The audit of what must never be wrong: adapters are their digests, the history is whole.

Owns the look over registry and blobs, and what a crash may have left there. Repairs nothing;
`almanac doctor` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.errors import AlmanacError

if TYPE_CHECKING:
    from daemon.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was looked at, what is wrong, and what is only left over."""

    adapters: int
    wrong: tuple[str, ...]
    orphans: tuple[str, ...]

    @property
    def text(self) -> str:
        """One line. Begins with `failed` when something is wrong."""
        left = f", {len(self.orphans)} stored without a row" if self.orphans else ""
        if self.wrong:
            return f"failed: {'; '.join(self.wrong)}{left}"
        return f"{self.adapters} adapters and the history are whole{left}"


def audit(services: Services) -> Audit:
    """Hash every adapter again and walk the history's chain. Blocking, and slow by design."""
    registry = services.registry
    wrong: list[str] = []
    digests = [v.digest for v in registry.versions() if v.digest and v.purged_at is None]
    for digest in digests:
        try:
            registry.verify(digest)
        except AlmanacError as error:
            wrong.append(str(error))
    alias = services.settings.gateway.alias
    broken = registry.broken_at(alias)
    if broken is not None:
        wrong.append(f"the history of {alias} was altered: generation {broken} does not fit")
    return Audit(adapters=len(digests), wrong=tuple(wrong), orphans=tuple(registry.orphans()))
