"""Cameras and video files, through OpenCV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from edge_runtime.errors import SourceError
from edge_runtime.quiet import quiet
from edge_runtime.results import Frame

DEFAULT_FPS = 30.0
"""Assumed where a camera or container does not say."""


class _Capture:
    """The part that cameras and files share: open, read, release."""

    live: bool

    def __init__(self, target: int | str) -> None:
        with quiet():
            self._capture = cv2.VideoCapture(target)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if np.isfinite(fps) and fps > 0 else DEFAULT_FPS

    def _frames(self) -> Iterator[Frame]:
        index = 0
        while True:
            # a fresh array each time: the frame before may still be in a sink's hands
            read, image = self._capture.read()
            if not read:
                return
            yield Frame(image=image, index=index, captured_ns=time.monotonic_ns())  # type: ignore[arg-type]
            index += 1

    def __enter__(self) -> Self:
        """Return the source."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the device or file."""
        self._capture.release()


class CameraSource(_Capture):
    """A camera by its index."""

    live = True

    def __init__(self, index: int) -> None:
        """Open the camera; raise ``SourceError`` when there is none or it is taken."""
        super().__init__(index)
        if not self._capture.isOpened():
            step = "look which /dev/video* exist, and that no other program holds the camera"
            raise SourceError(
                f"camera {index}", expected="a camera that opens", got="none, or one in use", next_step=step
            )
        self._index = index

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the camera is unplugged, which raises ``SourceError``."""
        yield from self._frames()
        raise SourceError(
            f"camera {self._index}",
            expected="a frame",
            got="none: it was unplugged or stalled",
            next_step="plug it in and start again",
        )


class VideoSource(_Capture):
    """A video file; every frame is read."""

    live = False

    def __init__(self, path: Path) -> None:
        """Open the file; raise ``SourceError`` when it is not a video."""
        super().__init__(str(path))
        self._path = path
        self._announced = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not self._capture.isOpened():
            raise SourceError(
                f"{path}",
                expected="a video that OpenCV can read",
                got="something else",
                next_step="convert it, for example to MP4",
            )

    def __iter__(self) -> Iterator[Frame]:
        """Yield all frames; raise ``SourceError`` after the last when the file announced more of them."""
        read = 0
        for frame in self._frames():
            yield frame
            read = frame.index + 1
        # containers round their length, so a frame or two may be missing in a whole file
        if read < 0.98 * self._announced - 2:
            step = "copy the file again; its first frames are good"
            raise SourceError(
                f"{self._path} ends early", expected=f"{self._announced} frames", got=str(read), next_step=step
            )
        if not read:
            raise SourceError(
                f"{self._path}", expected="at least one frame", got="none", next_step="convert it, for example to MP4"
            )
