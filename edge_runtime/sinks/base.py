"""What takes frame results, and how a file is finished or left."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

from edge_runtime.errors import SinkError, UsageError
from edge_runtime.files import destination
from edge_runtime.results import FrameResult


class Sink(Protocol):
    """Takes results one by one; ends by ``close`` (keep what was written) or ``discard`` (leave nothing behind).

    ``threaded``: it may be written to from a thread of its own; a window may not.
    """

    threaded: bool

    def write(self, result: FrameResult) -> None:
        """Take the next result; raise ``SinkError`` when it cannot."""

    def close(self) -> None:
        """Finish, and put the file in its place."""

    def discard(self) -> None:
        """Give up: remove what was written; a file of the same name from an earlier run stays as it was."""


class PartialFile:
    """A file that is written beside its final name and renamed when it is whole."""

    def __init__(self, path: Path) -> None:
        """Prepare the folder; raise ``UsageError`` when it cannot be written to.

        A link stays, and what it leads to is replaced; a folder, a device or a pipe is not.
        """
        try:
            self.path = destination(path)
            # the suffix stays last: OpenCV chooses the container by it; the number keeps two programs apart
            self.partial = self.path.with_name(f"{self.path.stem}.{os.getpid()}.partial{path.suffix}")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.partial.touch()
        except (OSError, ValueError) as error:  # ValueError: no name that a file can have
            raise _unwritable(path, getattr(error, "strerror", None) or str(error)) from error

    def keep(self) -> None:
        """Put the file in its place; raise ``SinkError`` when it cannot be put there any more."""
        try:
            self.partial.replace(self.path)
        except OSError as error:
            step = "look at the folder and give the command again"
            raise SinkError(str(self.path), expected="its folder", got=str(error), next_step=step) from error

    def remove(self) -> None:
        """Leave nothing behind, as far as the disk still allows."""
        with contextlib.suppress(OSError):  # read-only by now, or gone: the error that led here is the one to tell
            self.partial.unlink(missing_ok=True)


def _unwritable(path: Path, got: str) -> UsageError:
    step = "name another file with --sink, or - for standard output"
    return UsageError(f"{path} cannot be written", expected="a file in a folder to write to", got=got, next_step=step)
