"""What a source of frames is to the rest of the program, and what a camera is to the supervision of live ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import UsageError
from edge_runtime.options import option, require
from edge_runtime.results import Frame


class Source(Protocol):
    """An iterable context manager of frames.

    ``live``: frames come at their own pace and cannot be waited for. ``still``: each frame is a picture for itself, not
    the next moment of a video. ``fps``: frames a second.
    """

    live: bool
    still: bool
    fps: float

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the source ends; raise ``SourceError`` when it breaks."""

    def __enter__(self) -> Self:
        """Return the source."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the camera or file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a camera delivers at once. ``image``: uint8 (h, w, 3) BGR. ``reduced``: see ``Frame``."""

    image: NDArray[np.uint8]
    reduced: NDArray[np.uint8] | None = None


class Camera(Protocol):
    """One opened device or stream. ``fps``: frames a second, as far as it says."""

    fps: float

    def read(self) -> Picture | None:
        """Wait for the next picture; None when the camera has gone."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOptions:
    """What to ask of a camera; None and False leave it as it is. A camera that cannot do it does what it can."""

    size_wh: tuple[int, int] | None = None
    fps: float | None = None
    mjpg: bool = False
    """Ask a USB camera for JPEG pictures: more of them fit through the cable than raw ones."""

    def __post_init__(self) -> None:
        """Refuse what no camera has."""
        size = self.size_wh is None or 1 <= min(self.size_wh) <= max(self.size_wh) <= 2**15
        # below 1 a camera that is in order would look like one that has stalled
        rate = self.fps is None or 1 <= self.fps <= 1000  # noqa: PLR2004  (frames a second)
        require("camera_size", self.size_wh, holds=size, expected="1 to 32768")
        require("camera_fps", self.fps, holds=rate, expected="1 to 1000")

    @property
    def flags(self) -> list[str]:
        """The command line's names of what is asked for."""
        asked = {"--camera-size": self.size_wh, "--camera-fps": self.fps, "--mjpg": self.mjpg}
        return [flag for flag, value in asked.items() if value]


ANY_CAMERA = CameraOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFlags:
    """``CameraOptions`` on a command line."""

    camera_size: str = option("", "WIDTHxHEIGHT to ask of a camera")
    camera_fps: float | None = option(None, "frames a second to ask of a camera")
    mjpg: bool = option(default=False, text="ask a USB camera for JPEG pictures, which allow higher rates")

    @property
    def asked(self) -> CameraOptions:
        """What to ask of a camera; raise ``UsageError`` for a size that is none."""
        size = None
        if self.camera_size:
            sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", self.camera_size)
            if not sides:
                expected, step = "WIDTHxHEIGHT, as in 640x480", "correct the option"
                got = repr(self.camera_size)
                raise UsageError("--camera-size", expected=expected, got=got, next_step=step)
            size = int(sides[1]), int(sides[2])
        return CameraOptions(size_wh=size, fps=self.camera_fps, mjpg=self.mjpg)
