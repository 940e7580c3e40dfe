"""What counts as a contact in Wikimedia's sense: an e-mail address or a page.

Owns the one rule, for settings and clients alike. Imports nothing that is heavy.
"""

from __future__ import annotations

import re

_CONTACT = re.compile(r"https?://[^\s/()]+\S*|[^\s@()]+@[^\s@()]+\.[^\s@()]+")


def names_contact(text: str) -> bool:
    """Whether the text contains an e-mail address or a URL."""
    return _CONTACT.search(text) is not None
