"""What a run tells people besides its results."""

from __future__ import annotations

import contextlib
import sys


def say(line: str) -> None:
    """Write a line to standard error; a terminal or log that has been closed ends no run and changes no exit code."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
