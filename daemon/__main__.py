"""`python -m daemon` is the `almanac` command."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command; always ends with SystemExit."""
    gc.disable()  # until all is loaded: much is made then, and nothing of it is garbage
    from daemon.cli import main as run

    run()


if __name__ == "__main__":
    main()
