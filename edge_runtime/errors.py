"""Every error that this project raises on purpose, and the exit code that each ends a command with."""

from __future__ import annotations


class FerEdgeError(Exception):
    """Root of the project's errors: what is wrong, what was expected, what came instead, what to do next.

    The four parts are kept as attributes, so that a program can read them; ``str()`` joins them into one line.
    """

    exit_code = 1

    def __init__(self, what: str, *, expected: str, got: str, next_step: str) -> None:
        """Keep the four parts; each is a phrase without a full stop."""
        self.what, self.expected, self.got, self.next_step = what, expected, got, next_step
        super().__init__(f"{what}: expected {expected}, got {got}. Next: {next_step}.")


class UsageError(FerEdgeError):
    """The command line or the configuration asks for something that does not exist or contradicts itself."""

    exit_code = 2


class BundleError(FerEdgeError):
    """A bundle is missing, malformed, altered, or computes something else than its model card says."""

    exit_code = 3


class NotInstalledError(FerEdgeError):
    """An optional package (an inference engine, a reader) is not installed."""

    exit_code = 4


class SourceError(FerEdgeError):
    """A camera, video or picture cannot be opened or read."""

    exit_code = 5


class SinkError(FerEdgeError):
    """What results are written to does not take them any more: a full disk, a closed pipe."""

    exit_code = 5


class DataError(FerEdgeError):
    """A file of labelled faces is missing, truncated, foreign or holds an impossible row."""

    exit_code = 6


class RegressionError(FerEdgeError):
    """A measurement is worse than the one it is held against."""

    exit_code = 7
