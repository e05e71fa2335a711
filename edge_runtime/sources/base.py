"""What a source of frames is to the rest of the program."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from edge_runtime.results import Frame


class Source(Protocol):
    """An iterable context manager of frames. ``live``: frames come at their own pace and cannot be waited for.

    ``fps``: frames a second.
    """

    live: bool
    fps: float

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the source ends; raise ``SourceError`` when it breaks."""

    def __enter__(self) -> Self:
        """Return the source."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the camera or file."""
