"""A clip made from one picture by panning, zooming and tilting over it: several real faces at places that are known."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.results import Frame
from edge_runtime.sources.images import read_picture

SIZE_WH = (640, 480)
FRAMES = 150


class PanSource:
    """150 frames of 640×480 at 30 a second; every frame is a known affine map of the picture, see ``transform``."""

    live = False
    still = False
    fps = 30.0

    def __init__(self, picture: Path) -> None:
        """Read the picture; raise ``SourceError`` when it is not one."""
        original = read_picture(picture)
        self._size_wh = original.shape[1], original.shape[0]
        # warpAffine samples with gaps where it shrinks, so a picture that is larger than a frame is first averaged
        # down; to one row at least, however flat it is
        share = min(1.0, max(1.25 * SIZE_WH[0] / self._size_wh[0], 1 / self._size_wh[1]))
        self._reduced = cv2.resize(original, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)

    def transform(self, index: int) -> NDArray[np.float64]:
        """Return the (2, 3) matrix from pixels of the picture to pixels of frame ``index``.

        The whole width fits at zoom 1. Zoom swings between 1 and 1.25, tilt by ±6 degrees and the centre by ±12
        pixels, each at its own pace, so that no two frames are alike.
        """
        width, height = self._size_wh
        turn = 2 * math.pi * index / FRAMES
        zoom = SIZE_WH[0] / width * (1.125 - 0.125 * math.cos(2 * turn))
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 6 * math.sin(3 * turn), zoom)
        matrix[:, 2] += (
            SIZE_WH[0] / 2 - width / 2 + 12 * math.sin(turn),
            SIZE_WH[1] / 2 - height / 2 + 12 * math.sin(2 * turn),
        )
        return matrix.astype(np.float64)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames."""
        started_ns = time.monotonic_ns()
        for index in range(FRAMES):
            matrix = self.transform(index)
            matrix[:, :2] *= self._size_wh[0] / self._reduced.shape[1]
            image = cv2.warpAffine(self._reduced, matrix, SIZE_WH, borderMode=cv2.BORDER_REFLECT_101)
            yield Frame(
                image=image.astype(np.uint8, copy=False),
                index=index,
                captured_ns=started_ns + round(index * 1e9 / self.fps),
            )

    def __enter__(self) -> Self:
        """Return the source."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


def warp_boxes(boxes_xyxy: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return upright boxes (n, 4) for boxes (n, 4) mapped by ``matrix`` (2, 3): centres are moved, sides scaled."""
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    half = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / 2 * math.hypot(matrix[0, 0], matrix[0, 1])
    moved = centre @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([moved - half, moved + half], axis=1).astype(np.float32)
