"""Pictures as frames: one, or a folder of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import SourceError
from edge_runtime.results import MAX_SIDE_PX, Frame
from edge_runtime.sources.address import redacted

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as uint8 (h, w, 3) BGR, turned as its EXIF data says; raise ``SourceError`` when it is not one."""
    try:
        encoded = np.fromfile(path, np.uint8)
    except (OSError, ValueError) as error:  # ValueError: no name that a file can have
        raise SourceError(
            redacted(f"{path}"),  # which may be no path but synthetic: and an address
            expected="a picture",
            got=getattr(error, "strerror", None) or str(error),
            next_step="correct --source",
        ) from error
    try:
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if len(encoded) else None
    except cv2.error:  # a header of impossible size
        image = None
    if image is None:
        raise SourceError(
            f"{path}",
            expected="a picture that OpenCV can read",
            got="something else",
            next_step="convert it to JPEG or PNG",
        )
    if max(image.shape) > MAX_SIDE_PX:
        got, step = f"{image.shape[1]}×{image.shape[0]}", "make it smaller"
        raise SourceError(f"{path}", expected=f"at most {MAX_SIDE_PX:,} pixels a side", got=got, next_step=step)
    return image.astype(np.uint8, copy=False)


def _is_shown(file: Path) -> bool:
    """Whether a folder shows it: no hidden file, as macOS leaves beside each picture under the same suffix."""
    return file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")


class PictureSource:
    """One picture, or all of a folder in the order of their names, each a frame for itself.

    What cannot be read in a folder is left out, and named when the others are done.
    """

    live = False
    still = True
    fps = 1.0

    def __init__(self, path: Path) -> None:
        """Read the one picture; raise ``SourceError`` when it is not one, or the folder shows none."""
        self.paths, self._one = [path], None if path.is_dir() else read_picture(path)
        if self._one is None:
            expected, got = "pictures, " + ", ".join(sorted(PICTURE_SUFFIXES)), "none"
            try:
                self.paths = sorted(file for file in path.iterdir() if _is_shown(file))
            except OSError as error:  # a folder that may not be read
                self.paths, got = [], error.strerror or str(error)
            if not self.paths:
                raise SourceError(f"folder {path}", expected=expected, got=got, next_step="correct --source")

    def __iter__(self) -> Iterator[Frame]:
        """Yield the pictures, a second apart; raise ``SourceError`` after the last for those that cannot be read."""
        started_ns, unread = time.monotonic_ns(), []
        for index, path in enumerate(self.paths):
            try:
                image = read_picture(path) if self._one is None else self._one
            except SourceError as error:
                unread.append(f"{path.name}: {error.got}")
                continue
            place_ns, name = round(index * 1e9 / self.fps), os.fsencode(path.name).decode(errors="replace")
            yield Frame(image=image, index=index, captured_ns=started_ns + place_ns, still=True, picture=name)
        if unread:
            got, step = "; ".join(unread[:3]), "see to them, or remove them; the others are done"
            what = f"{len(unread)} of the {len(self.paths)} pictures of {self.paths[0].parent}"
            raise SourceError(what, expected="pictures that can be read", got=got, next_step=step)

    def __enter__(self) -> Self:
        """Return the source."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""
