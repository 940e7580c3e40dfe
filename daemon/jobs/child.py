"""Runs a command that dies with its parent: `python -m daemon.jobs.child PARENT_PID COMMAND...`.

On Linux the kernel is asked to kill this process when its parent ends, however that happens; the
wish survives the exec. Elsewhere the pid file of the job guards against two runs of one job.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL at the parent's end; exits at once when the parent is gone already."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        sys.exit(f"the parent {parent} ended before its child began; start the job again")


def main() -> None:
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
