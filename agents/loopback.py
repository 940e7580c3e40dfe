"""What is on this machine alone: the one rule, for hosts that are bound and URLs that are asked.

Imports nothing that is heavy.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a host, by name or number and without a port, is this machine's own loopback."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str) -> bool:
    """The same of a URL's host; False for what is no URL, which is told where it matters."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False
