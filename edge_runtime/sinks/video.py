"""The annotated video."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2

from edge_runtime.errors import SinkError, UsageError
from edge_runtime.files import is_utf8
from edge_runtime.quiet import quiet
from edge_runtime.results import FrameResult
from edge_runtime.sinks.base import PartialFile
from edge_runtime.sinks.draw import Style, annotate

# What OpenCV's wheels can write. MPEG-4 part 2 costs 1.6 ms a frame at 640×480 and plays everywhere but in browsers;
# VP8, which they play, costs 46 ms, and VP9 would cost 145.
CODECS = {".webm": "VP80", ".mp4": "mp4v"}

# OpenCV's writer does not say when the disk is full, and the container's index is written last of all
_LEAST_FREE = 64 << 20
_LOOK_EVERY = 30

# Of the first frame, whose size is the video's. Sides of one pixel are refused, VP8 files of a few cannot be read again
_LEAST_SIDE_PX = 16

# MPEG-4 part 2 counts at most 65,535 ticks a second, and of a rate with a fraction OpenCV asks for a thousand a frame
_MOST_BROKEN_FPS = 65

# Above it a sink that is too slow for its frames could not catch up by leaving some out
_MOST_TIMES = 6


class VideoSink:
    """Writes each frame with its faces drawn in."""

    threaded = True

    def __init__(self, path: Path, fps: float, style: Style) -> None:
        """Check the name; the file is opened with the first frame, which gives its size."""
        if path.suffix.lower() not in CODECS:
            got = path.suffix or "no suffix"
            raise UsageError(f"video {path}", expected=" or ".join(CODECS), got=got, next_step="correct --sink")
        if not is_utf8(path):  # OpenCV dies of it
            what, got = f"video {str(path)!a}", "bytes that are none"
            raise UsageError(what, expected="a name in UTF-8", got=got, next_step="correct --sink")
        self._codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        self._file, self._fps, self._style = PartialFile(path), fps if fps <= _MOST_BROKEN_FPS else round(fps), style
        self._written, self._began_ns, self._look_at = 0, 0, 0
        self._writer: cv2.VideoWriter | None = None
        self._size_wh, self._too_small = (0, 0), 0

    def write(self, result: FrameResult) -> None:
        """Draw and encode one frame, scaled to the first one's size: a video can hold no other.

        It is written as often as its time asks, at most six times, so that the video runs as fast as what it shows: the
        frames that a busy loop could not take are stood in for by those that it took. Until the first frame of at least
        16×16 pixels there is no video.
        """
        height, width = result.frame.image.shape[:2]
        if self._writer is None:
            if min(width, height) < _LEAST_SIDE_PX:
                self._too_small += 1
                return
            self._size_wh, self._began_ns = (width, height), result.frame.captured_ns
            self._writer = cv2.VideoWriter(str(self._file.partial), self._codec, self._fps, self._size_wh)
            if not self._writer.isOpened():
                expected = f"{width}×{height} at {self._fps:g} a second to be encodable"
                raise UsageError(
                    f"video {self._file.path}",
                    expected=expected,
                    got="an encoder that refuses",
                    next_step="try the other of .webm and .mp4",
                )
        if (times := self._times(result.frame.captured_ns)) == 0:
            return
        if self._written >= self._look_at:
            self._look_for_room()
        self._written += times
        canvas = annotate(result.frame.image, result.faces, self._style, result.unshown_xyxy)
        if (width, height) != self._size_wh:
            canvas = cv2.resize(canvas, self._size_wh)  # type: ignore[assignment]
        for _ in range(times):
            self._writer.write(canvas)

    def _look_for_room(self) -> None:
        self._look_at = self._written + _LOOK_EVERY
        try:
            free = shutil.disk_usage(self._file.path.parent).free
            got, step = "a disk that is nearly full", "free some space, or name another disk"
        except OSError as error:
            free, got, step = 0, error.strerror or str(error), "look at the folder and give the command again"
        if free < _LEAST_FREE:
            expected = f"{_LEAST_FREE >> 20} MiB free"
            raise SinkError(f"video {self._file.path}", expected=expected, got=got, next_step=step)

    def _times(self, captured_ns: int) -> int:
        """How often a frame of that time is to be written; time in which there was none for long is cut out."""
        times = round((captured_ns - self._began_ns) * self._fps / 1e9) + 1 - self._written
        if times > _MOST_TIMES:
            self._began_ns += round((times - _MOST_TIMES) * 1e9 / self._fps)
        return min(max(times, 0), _MOST_TIMES)

    def close(self) -> None:
        """Finish the container and put the file in its place; without a single frame there is no file.

        Raises ``SinkError`` when it is not whole after all, for of quotas and limits the disk says nothing, and when
        all frames were too small.
        """
        if self._writer is None:
            self._file.remove()
            if self._too_small:
                what, expected = f"video {self._file.path}", f"a frame of {_LEAST_SIDE_PX}×{_LEAST_SIDE_PX} pixels"
                got, step = f"{self._too_small}, all smaller", "name a source of larger pictures"
                raise SinkError(what, expected=expected, got=got, next_step=step)
            return
        self._writer.release()
        with quiet():
            frames = cv2.VideoCapture(str(self._file.partial)).get(cv2.CAP_PROP_FRAME_COUNT)
        if frames < 1:
            self._file.remove()
            step = "look for a quota or limit of file sizes, or name another disk"
            what, expected = f"video {self._file.path}", f"a whole file of {self._written} frames"
            raise SinkError(what, expected=expected, got="one that was cut off", next_step=step)
        self._file.keep()

    def discard(self) -> None:
        """Remove the file."""
        if self._writer is not None:
            self._writer.release()
        self._file.remove()
