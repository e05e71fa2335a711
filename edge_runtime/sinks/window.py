"""A window: boxes, labels, bars of the seven emotions, frames a second."""

from __future__ import annotations

import os
import sys
import time

import cv2

from edge_runtime.errors import NotInstalledError, UsageError
from edge_runtime.quiet import quiet
from edge_runtime.results import FrameResult
from edge_runtime.sinks.draw import Style, annotate, caption

TITLE = "fer-edge"
_ESCAPE = 27
_MEMORY = 0.1


class WindowClosed(KeyboardInterrupt):
    """The person closed the window or pressed Escape or q: the run ends as with Ctrl-C."""


class WindowSink:
    """Shows each frame as it comes. Belongs to the main thread."""

    threaded = False

    def __init__(self, style: Style) -> None:
        """Open the window; raise ``NotInstalledError`` or ``UsageError`` where there can be none."""
        if "GUI" in (information := cv2.getBuildInformation()) and "GUI:                           NONE" in information:
            step = "pip uninstall opencv-python-headless, then pip install opencv-python"
            raise NotInstalledError("window", expected="an OpenCV with windows", got="the headless one", next_step=step)
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            step = "start it on the desktop, or take --sink video:FILE.mp4"
            raise UsageError("window", expected="a display", got="no DISPLAY", next_step=step)
        self._style, self._last_s, self._fps = style, 0.0, 0.0
        with quiet():
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def write(self, result: FrameResult) -> None:
        """Show one frame; raise ``WindowClosed`` when the window was closed."""
        now_s = time.monotonic()
        rate = 1 / max(now_s - self._last_s, 1e-3)
        self._fps = self._fps + _MEMORY * (rate - self._fps) if self._last_s else 0.0
        self._last_s = now_s
        canvas = annotate(result.frame.image, result.faces, self._style)
        caption(canvas, f"{self._fps:.0f} fps, {sum(result.stage_ms.values()):.1f} ms a frame")
        cv2.imshow(TITLE, canvas)
        key = cv2.pollKey()
        if key in (_ESCAPE, ord("q")) or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            raise WindowClosed

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()

    def discard(self) -> None:
        """Close the window."""
        self.close()
