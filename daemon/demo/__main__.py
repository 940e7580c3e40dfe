"""`python -m daemon.demo`: the same as `almanac demo`."""

from __future__ import annotations

import sys

from daemon.demo.run import main

if __name__ == "__main__":
    sys.exit(main())
