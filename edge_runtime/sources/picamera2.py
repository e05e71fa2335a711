"""The Raspberry Pi's camera, through picamera2, which Raspberry Pi OS brings."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from edge_runtime.errors import NotInstalledError, SourceError
from edge_runtime.sources.base import CameraOptions, Picture
from edge_runtime.sources.opencv import DEFAULT_FPS

SIZE_WH = (640, 480)
REDUCED_WIDTH = 320
_TIMEOUT_S = 5.0


class PiCamera:
    """One camera of a Raspberry Pi: a colour picture to draw on, and the luma of a small one to find faces in."""

    def __init__(self, number: int, options: CameraOptions) -> None:
        """Open, configure and start camera ``number``; raise ``SourceError`` when there is none or it is taken."""
        try:
            from picamera2 import Picamera2
        except (ImportError, ValueError) as error:
            # a compiled part of it that was built for another numpy raises ValueError
            step = (
                "sudo apt install python3-picamera2, make the environment with --system-site-packages,"
                " and where numpy's size is at fault: pip install --ignore-installed --no-deps simplejpeg"
            )
            raise NotInstalledError("picamera2:", expected="picamera2", got=str(error), next_step=step) from error
        width, height = options.size_wh or SIZE_WH
        self.fps, self._name = options.fps or DEFAULT_FPS, f"picamera2:{number}"
        self._camera: Any = None
        try:
            self._camera = Picamera2(number)
            # what picamera2 calls RGB888 is blue, green, red in memory, as OpenCV wants it
            configuration = self._camera.create_video_configuration(
                main={"size": (width, height), "format": "RGB888"},
                lores={"size": _reduced_wh(width, height), "format": "YUV420"},
                controls={"FrameRate": self.fps},
                # without the queue a finished picture is not kept for whoever comes late: it would be an old one
                queue=False,
            )
            self._camera.configure(configuration)
            # the sensor may have been given other sizes, silently
            self._reduced_wh: tuple[int, int] = self._camera.stream_configuration("lores")["size"]
            self._camera.start()
        except (RuntimeError, ValueError, IndexError) as error:
            self.close()
            step = "look at the camera's cable, at rpicam-hello --list-cameras, and that no other program holds it"
            raise SourceError(self._name, expected="a camera that opens", got=str(error), next_step=step) from error

    def read(self) -> Picture | None:
        """Wait for the next picture; None when none comes within five seconds, or the camera has gone."""
        try:
            (image, planes), _ = self._camera.capture_arrays(["main", "lores"], wait=_TIMEOUT_S)
        except (TimeoutError, RuntimeError):
            return None
        width, height = self._reduced_wh
        luma = planes[:height, :width]  # rows are padded to the stride, and the colour planes lie below
        return Picture(image=image, reduced=np.ascontiguousarray(luma))

    def close(self) -> None:
        """Stop and let go of the camera."""
        if self._camera is not None:
            # stopping waits behind a read that timed out, which waits for ever, unless that is called off
            for end in (self._camera.cancel_all_and_flush, self._camera.stop, self._camera.close):
                with contextlib.suppress(RuntimeError):  # one that cannot be stopped must be let go of all the same
                    end()


def _reduced_wh(width: int, height: int) -> tuple[int, int]:
    """Size of the small stream: 320 pixels wide at most, no larger than the other, and even, as YUV420 must be."""
    reduced = min(width, REDUCED_WIDTH)
    return reduced // 2 * 2, height * reduced // width // 2 * 2
