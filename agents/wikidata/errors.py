"""What can go wrong between us and Wikidata.

Owns the leaves of the error tree that the Wikidata side raises, and reading of `Retry-After`.
"""

from __future__ import annotations

import datetime as dt
import math
from email.utils import parsedate_to_datetime

from agents.errors import Permanent, Retryable


class Throttled(Retryable):
    """429: we ask too often. The cool-down is kept over restarts."""


class Lagging(Retryable):
    """maxlag: the replicas are behind; a delay, not a fault."""


class Unreachable(Retryable):
    """No answer, a cut connection, or a 5xx."""


class BrokenAnswer(Retryable):
    """An answer that is not whole (cut JSON, missing parts). Never read as `no change`."""


class StreamCut(Retryable):
    """The event stream ended or fell silent; normal every quarter of an hour."""


class Refused(Permanent):
    """The server understood and said no (403, unknown parameter, bad title)."""


class NoContact(Permanent):
    """The User-Agent names nobody whom the operators could write to."""


class Malformed(Permanent):
    """A document that is no entity: wrong types where Wikibase guarantees them."""


def retry_after_s(header: str | None, *, now: dt.datetime | None = None) -> float | None:
    """Seconds to wait by a `Retry-After` header: an int, a float or an HTTP date; None if absent
    or unreadable. Never negative."""
    if header is None or not header.strip():
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            when = parsedate_to_datetime(header)
        except (TypeError, ValueError):
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=dt.UTC)
        seconds = (when - (now or dt.datetime.now(dt.UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
