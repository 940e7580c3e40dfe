"""The evaluator's errors. A message says what happened and what to do next."""

from __future__ import annotations


class EvaluatorError(Exception):
    """Base of everything that the evaluator raises on purpose."""


class Retryable(EvaluatorError):
    """The same call may succeed later: an endpoint was busy, slow or down."""


class Permanent(EvaluatorError):
    """The same call will fail again: the input has to change first."""


class JudgeUnavailable(Retryable):
    """The judge's endpoint did not answer."""


class JudgeReplyError(Retryable):
    """The judge answered something that is not the asked structure, or contradicts itself."""


class SuiteError(Permanent):
    """A suite cannot be built or read, or outputs do not belong to it."""


class PolicyError(Permanent):
    """A gate policy is missing, malformed or asks for a metric that does not exist."""


class TaskError(Permanent):
    """A capability task cannot be found or run."""
