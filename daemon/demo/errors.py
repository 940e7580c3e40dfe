"""What stops a demo. Each message says what to do next."""

from __future__ import annotations

from daemon.errors import Permanent


class DemoError(Permanent):
    """The demo cannot go on."""
