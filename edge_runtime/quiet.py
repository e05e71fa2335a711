"""Keeping OpenCV from printing reasons of its own beside the one clear message that a user gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Silence OpenCV's log, and put its level back at the end; what fails is raised all the same."""
    import cv2

    log = getattr(cv2.utils, "logging", cv2)  # OpenCV 4 has the two functions in cv2 itself
    level = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(level)
