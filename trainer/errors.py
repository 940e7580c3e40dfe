"""The trainer's error tree. A message says what happened and what to do next."""

from __future__ import annotations


class TrainerError(Exception):
    """Root of every error that the trainer raises on purpose."""


class Permanent(TrainerError):
    """The same input fails again: somebody has to change it."""


class Retryable(TrainerError):
    """The same input may succeed later: free a resource and run again."""


class BadBase(Permanent):
    """The base model's folder cannot be used."""


class BadAdapter(Permanent):
    """An adapter folder cannot be used with this base."""


class BadRecipe(Permanent):
    """A recipe does not exist, does not parse or does not fit the job."""


class BadJob(Permanent):
    """A job's content cannot be trained."""


class TrainingDiverged(Permanent):
    """A loss or a gradient stopped being a number."""


class OutOfSpace(Retryable):
    """The disk or a quota is full."""


class Unreachable(Retryable):
    """A server that the job samples from does not answer."""


class Busy(Retryable):
    """Another process works on the same job."""
