"""A window: boxes, labels, bars of the seven emotions, frames a second."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

import cv2

from edge_runtime.errors import NotInstalledError, UsageError
from edge_runtime.quiet import quiet
from edge_runtime.results import FrameResult
from edge_runtime.sinks.draw import Style, annotate, caption

TITLE = "fer-edge"
_ESCAPE = 27
_MEMORY = 0.1
QT_PLATFORMS = Path(cv2.__file__).parent / "qt" / "plugins" / "platforms"
"""What PyPI's OpenCV for Linux can draw on; other builds have no such folder."""

_ROOM_WH = (960, 720)
"""Pixels of the desktop that the window takes up at first, so that labels of a small picture can be read."""


class WindowClosed(KeyboardInterrupt):
    """The person closed the window or pressed Escape or q: the run ends as with Ctrl-C."""


class WindowSink:
    """Shows each frame as it comes, a file's not before their time. Belongs to the main thread."""

    threaded = False

    def __init__(self, style: Style, *, still: bool = False) -> None:
        """Open the window; raise ``NotInstalledError`` or ``UsageError`` where there can be none.

        ``still``: each picture stays until a key is pressed.
        """
        if "GUI" in (information := cv2.getBuildInformation()) and "GUI:                           NONE" in information:
            step = "pip uninstall opencv-python-headless, then pip install opencv-python"
            raise NotInstalledError("window", expected="an OpenCV with windows", got="the headless one", next_step=step)
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            _no_display("no DISPLAY")
        if (
            not os.environ.get("DISPLAY")
            and (QT_PLATFORMS / "libqxcb.so").exists()
            and not any(QT_PLATFORMS.glob("*wayland*"))
        ):
            _no_display("Wayland alone, and an OpenCV that knows X alone")  # it would end the process
        if sys.platform == "linux" and (display := os.environ.get("DISPLAY")) and (error := _unreachable(display)):
            _no_display(f"{display}, which does not answer ({error})")  # OpenCV would end the process
        self._style, self._still, self._sized = style, still, False
        self._last_s = self._period_s = 0.0
        with quiet():
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)

    def write(self, result: FrameResult) -> None:
        """Show one frame; raise ``WindowClosed`` when the window was closed."""
        canvas = annotate(result.frame.image, result.faces, self._style, result.unshown_xyxy)
        work = f"{sum(result.stage_ms.values()):.1f} ms a frame"
        caption(canvas, work if self._still else f"{self._fps():.0f} fps, {work}")
        if not self._sized:
            height, width = canvas.shape[:2]
            share = min(_ROOM_WH[0] / width, _ROOM_WH[1] / height)
            cv2.resizeWindow(TITLE, max(1, round(width * share)), max(1, round(height * share)))
            self._sized = True
        cv2.imshow(TITLE, canvas)
        early_ms = (result.frame.captured_ns - time.monotonic_ns()) // 1_000_000
        key = cv2.waitKey(early_ms) if early_ms > 0 else cv2.pollKey()
        while self._still and key < 0 and self._open():
            key = cv2.waitKey(50)
        if key in (_ESCAPE, ord("q")) or not self._open():
            raise WindowClosed

    def _fps(self) -> float:
        """Frames a second, averaged over about ten; 0 at the first."""
        now_s = time.monotonic()
        before_s, self._last_s = self._last_s, now_s
        if not before_s:
            return 0.0
        self._period_s += (_MEMORY if self._period_s else 1.0) * (now_s - before_s - self._period_s)
        return 1 / max(self._period_s, 1e-3)

    @staticmethod
    def _open() -> bool:
        return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()

    def discard(self) -> None:
        """Close the window."""
        self.close()


def _unreachable(display: str) -> OSError | None:
    """Connect to the X server that ``display`` ([HOST]:NUMBER[.SCREEN]) names; return what went wrong, if anything."""
    host, _, number = display.rpartition(":")
    server = number.partition(".")[0]
    if "/" in host or not server.isdecimal():
        return None  # a form of address that is not known here: OpenCV will see
    path = f"/tmp/.X11-unix/X{server}"  # noqa: S108  (X's own place)
    try:
        if host not in {"", "unix"}:
            socket.create_connection((host.strip("[]"), 6000 + int(server)), timeout=5).close()
            return None
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            if connection.connect_ex("\0" + path):  # the name without a file, which a container sees too
                connection.connect(path)
    except OSError as error:
        return error
    return None


def _no_display(got: str) -> NoReturn:
    step = "start it on the desktop (under Wayland with Xwayland), or take --sink video:FILE.mp4"
    raise UsageError("window", expected="a display", got=got, next_step=step)
