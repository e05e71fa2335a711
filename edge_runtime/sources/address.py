"""Which source an address names."""

from __future__ import annotations

import os
import re
from pathlib import Path

from edge_runtime.errors import SourceError
from edge_runtime.sources.base import Source

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_MAX_DIGITS = 9  # OpenCV takes a camera index as a C int


def open_source(address: str) -> Source:
    """Open what ``address`` names; raise ``SourceError`` when it does not exist or cannot be read.

    ``0`` or ``webcam:0``: a camera by index · ``synthetic:PICTURE``: a clip that pans and zooms over a picture ·
    anything else: the path of a picture or a video file.
    """
    kind, _, rest = address.partition(":")
    index = rest if kind == "webcam" else address
    if index.isascii() and index.isdigit() and len(index) <= _MAX_DIGITS:
        from edge_runtime.sources.opencv import CameraSource

        return CameraSource(int(index))
    if kind == "webcam":
        raise SourceError(
            "camera address",
            expected="webcam: and a number, as in webcam:0",
            got=repr(address),
            next_step="correct --source",
        )
    if kind == "synthetic":
        from edge_runtime.sources.synthetic import PanSource

        return PanSource(Path(rest))
    path = Path(address)
    if not os.path.isfile(path):  # noqa: PTH113  (Path.is_file raises when a name is too long)
        step = "name a camera index, a video file, a picture or synthetic:PICTURE with --source"
        shown = re.sub("//.*@", "//…@", address)  # credentials never reach a log
        raise SourceError("source", expected="a file or a camera index", got=repr(shown), next_step=step)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        from edge_runtime.sources.images import PictureSource

        return PictureSource(path)
    from edge_runtime.sources.opencv import VideoSource

    return VideoSource(path)
