"""Cameras, network streams and video files, through OpenCV."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from edge_runtime.errors import SourceError
from edge_runtime.files import is_utf8
from edge_runtime.quiet import quiet
from edge_runtime.results import Frame
from edge_runtime.sources.base import CameraOptions, Picture

DEFAULT_FPS = 30.0
"""Assumed where a camera or container does not say."""

_STREAM_TIMEOUT_MS = 5_000
_CAMERAS = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY  # FFmpeg would take /dev/video0 for a film


class OpenCvCamera:
    """A camera of this machine by V4L2, or a network stream by FFmpeg."""

    def __init__(self, target: int | str, name: str, options: CameraOptions) -> None:
        """Open ``target``: a camera's index, its device file, or an address. ``name`` is what messages call it.

        Raises ``SourceError`` when there is none or it is taken.
        """
        stream = isinstance(target, str) and "://" in target
        # FFmpeg reports to standard error by itself, and names the address with its password
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        step = (
            "look whether the address is right and the camera is on"
            if stream
            else "look which /dev/video* exist, and that no other program holds the camera"
        )
        if stream and not str(target).isprintable():  # OpenCV dies of half a character
            raise SourceError(ascii(name), expected="an address", got="characters that none has", next_step=step)
        with quiet():
            self._capture = _open_stream(str(target)) if stream else cv2.VideoCapture(target, _CAMERAS)
            if not self._capture.isOpened():
                raise SourceError(name, expected="a camera that opens", got="none, or one in use", next_step=step)
            if not stream:
                self._ask(options)
        self.fps = _fps(self._capture)

    def _ask(self, options: CameraOptions) -> None:
        if options.mjpg:  # first: it decides which sizes and rates there are
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if options.size_wh:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.size_wh[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.size_wh[1])
        if options.fps:
            self._capture.set(cv2.CAP_PROP_FPS, options.fps)

    def read(self) -> Picture | None:
        """Wait for the next picture; None when the camera has gone."""
        with quiet():
            read, image = self._capture.read()  # a fresh array each time: the one before may still be in use
        return Picture(image=image.astype(np.uint8, copy=False)) if read else None

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


class VideoSource:
    """A video file; every frame is read, and its time is what the container says, at even steps where it does not."""

    live = False
    still = False

    def __init__(self, path: Path) -> None:
        """Open the file; raise ``SourceError`` when it is not a video."""
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        if not is_utf8(path):
            what, step = ascii(str(path)), "rename the file"
            raise SourceError(what, expected="a name in UTF-8", got="bytes that are none", next_step=step)
        with quiet():  # by its whole name: FFmpeg takes 12 in 12:30.mp4 for a protocol
            self._capture = cv2.VideoCapture(os.path.abspath(path))  # noqa: PTH100
        self._path, self.fps = path, _fps(self._capture)
        self._announced = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._announced_s = self._announced / max(self._capture.get(cv2.CAP_PROP_FPS), 1e-9)
        if not self._capture.isOpened():
            raise SourceError(
                f"{path}",
                expected="a video that OpenCV can read",
                got="something else",
                next_step="convert it, for example to MP4",
            )

    def __iter__(self) -> Iterator[Frame]:
        """Yield all frames; raise ``SourceError`` after the last when the file announced more of them.

        Some containers announce their length alone, from which FFmpeg makes a number of frames, and an MP4 holds frames
        that its edit list leaves out: only a file that is short in both, and whose end is missing, ends early.
        """
        started_ns, count, step_ns = time.monotonic_ns(), 0, round(1e9 / self.fps)
        place_ns = -step_ns
        while True:
            read, image = self._capture.read()  # a fresh array each time: a sink may still hold the one before
            if not read:
                break
            told_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            told_ns = round(told_ms * 1e6) if np.isfinite(told_ms) else place_ns
            place_ns = told_ns if told_ns > place_ns else place_ns + step_ns
            yield Frame(image=image.astype(np.uint8, copy=False), index=count, captured_ns=started_ns + place_ns)
            count += 1
        # containers round their length, so a frame or two may be missing in a whole file
        fewer = count < 0.98 * self._announced - 2
        shorter = place_ns + step_ns < (0.98 * self._announced_s - 2 / self.fps) * 1e9
        if fewer and shorter and not _is_whole_mp4(self._path):
            step = "copy the file again; its first frames are good"
            raise SourceError(
                f"{self._path} ends early", expected=f"{self._announced} frames", got=str(count), next_step=step
            )
        if not count:
            raise SourceError(
                f"{self._path}", expected="at least one frame", got="none", next_step="convert it, for example to MP4"
            )

    def __enter__(self) -> Self:
        """Return the source."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the file."""
        self._capture.release()


def _open_stream(address: str) -> cv2.VideoCapture:
    limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
    parameters = [number for limit in limits for number in (limit, _STREAM_TIMEOUT_MS)]
    # FFmpeg would take a thread for each core, and each but the first holds a frame of H.264 back: 0.1 s on four cores
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, [*parameters, cv2.CAP_PROP_N_THREADS, 1])


def _fps(capture: cv2.VideoCapture) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    # the 1000 of a browser's WebM are the ticks of its clock
    return fps if np.isfinite(fps) and 0 < fps <= 240 else DEFAULT_FPS  # noqa: PLR2004  (a container's nonsense)


def _is_whole_mp4(path: Path) -> bool:
    """Whether the file is an MP4 whose boxes (ISO 14496-12) end where it does."""
    place, end = 0, path.stat().st_size
    with path.open("rb") as file:
        while place < end:
            file.seek(place)
            head = file.read(16)
            if not place and head[4:8] != b"ftyp":
                return False
            length = int.from_bytes(head[:4])
            length = int.from_bytes(head[8:]) if length == 1 else length or end - place  # 0: to the end
            if length < 8:  # noqa: PLR2004  (bytes of length and kind)
                return False
            place += length
    return 0 < place == end
