"""What a command tells people besides its results, and an end to what nobody takes any more."""

from __future__ import annotations

import contextlib
import os
import sys


def say(line: str) -> None:
    """Write a line to standard error; a terminal or log that has been closed ends no run and changes no exit code."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def let_go_of_standard_output() -> None:
    """Send to nowhere what could not be written: Python would try again at its end, and end with a code of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
