"""The daemon's error tree. Every message says what happened and what to do next.

AlmanacError
├── Permanent            trying again changes nothing
│   ├── ConfigError          a setting is unknown, missing or out of range
│   │   └── DatabaseAway         the database's server does not answer, or not yet
│   ├── NewerDatabaseError   the database belongs to a later Almanac
│   ├── IllegalTransition    a state machine was asked for a move that it does not have
│   ├── Conflict             somebody else was first: stale draft, moved alias, taken lease
│   ├── NotFound             no such change, release, adapter, alias
│   ├── BlobError            files of an adapter are missing, altered or not acceptable
│   ├── NotPromotable        no passed evaluation stands behind this adapter
│   ├── NotSignedIn          no key, or one that is not accepted
│   ├── Forbidden            the role does not allow it
│   ├── NeedsSecondPerson    an override was noted; somebody else has to confirm it
│   └── JobFailed            a training or evaluation process gave up
└── Retryable            the same step may work later
    ├── LeaseLost            the lease ran out while working; nothing of the step was written
    └── Throttled            too many failed logins
"""

from __future__ import annotations


class AlmanacError(Exception):
    """Base of everything that the daemon raises on purpose."""


class Permanent(AlmanacError):
    """Trying again with the same input changes nothing."""


class Retryable(AlmanacError):
    """The same step may work later."""


class ConfigError(Permanent):
    """A setting is unknown, missing or out of range."""


class DatabaseAway(ConfigError):
    """The database's server does not answer. A service waits for it; a command says so."""


class NewerDatabaseError(Permanent):
    """The database was written by a later version of Almanac."""


class IllegalTransition(Permanent):
    """The transition table has no such move."""


class Conflict(Permanent):
    """Somebody else was first; look again and decide again."""


class NotFound(Permanent):
    """No such thing under that name."""


class BlobError(Permanent):
    """The files of an adapter are missing, altered or not acceptable."""


class NotPromotable(Permanent):
    """No passed evaluation of this adapter stands in the registry."""


class NeedsSecondPerson(Permanent):
    """An override was noted and waits for somebody else."""


class JobFailed(Permanent):
    """A training or evaluation process gave up."""


class LeaseLost(Retryable):
    """The lease ran out while the step was at work; nothing of it was written."""


class NotSignedIn(Permanent):
    """No key was shown, or one that is not accepted."""


class Forbidden(Permanent):
    """Somebody's role does not allow it."""


class Throttled(Retryable):
    """Too many failed logins; `after_s` is how long to wait."""

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s
