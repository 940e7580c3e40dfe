"""How Almanac names itself to the servers that it asks. Loads nothing that is heavy."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from daemon.config import Settings


def user_agent(settings: Settings) -> str:
    """`almanac/VERSION (CONTACT)`, as Wikimedia asks."""
    try:
        number = version("almanac")
    except PackageNotFoundError:
        number = "0"
    return f"almanac/{number} ({settings.wikidata.contact or 'local'})"
