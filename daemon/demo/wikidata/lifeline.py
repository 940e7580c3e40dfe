"""A child's lifeline to its parent: when the parent is gone, however it ended, so is the child.

Linux only; elsewhere a killed parent leaves its children to be ended by hand. The signal comes when
the thread that started the child ends, so start such children from the main thread.
"""

from __future__ import annotations

import ctypes
import signal
import sys

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def end_with_parent(signum: signal.Signals = signal.SIGKILL) -> None:
    """Called in the child: be sent `signum` when the parent ends."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signum))
