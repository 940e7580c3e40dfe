"""What can go wrong in building a scenario or in serving it."""

from __future__ import annotations


class LocalWikidataError(Exception):
    """Base of this package's errors."""


class ScenarioError(LocalWikidataError):
    """The table of the world cannot carry the scenario that was asked for."""


class ClockError(LocalWikidataError):
    """The clock file cannot be read as a time."""


class SparqlUnavailable(LocalWikidataError):
    """The Oxigraph child does not answer."""
