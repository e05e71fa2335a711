"""How faces move from one frame to the next, without a detector: median flow (Kalal, Mikolajczyk & Matas 2010)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIDE = 4
"""A grid of 4×4 points is followed in the middle four fifths of each box."""
_WINDOW_PX = 15
_LEVELS = 2
_LARGEST_SIDE_PX = 320
_LEAST_SHARE = 0.6
_MAX_RESIDUAL = 0.06  # of a box's side: a fifth of the distance between two points of the grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """How n boxes moved, as a similarity about each one's centre, in complex numbers of pixels.

    A point p of box i is now at ``centre[i] + shift[i] + turn[i] * (p - centre[i])``: ``turn`` holds rotation and
    growth. ``sure``: most of the points that were followed agree on it; where not, turn is 1 and shift is 0.
    """

    centre: NDArray[np.complex128]
    shift: NDArray[np.complex128]
    turn: NDArray[np.complex128]
    sure: NDArray[np.bool_]

    def points(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move points (n, k, 2) with their boxes."""
        flat = points[..., 0] + 1j * points[..., 1].astype(np.float64)
        moved = self._column(self.centre + self.shift) + self._column(self.turn) * (flat - self._column(self.centre))
        return np.stack([moved.real, moved.imag], axis=-1).astype(np.float32)

    def boxes(self, boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move upright boxes (n, 4): their centres are shifted, their sides grow; they do not turn."""
        centre = self.centre + self.shift
        half = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / 2 * np.abs(self.turn)[:, None]
        middle = np.stack([centre.real, centre.imag], axis=-1)
        return np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)

    @staticmethod
    def _column(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
        return values[:, None]


class Flow:
    """Remembers the last frame, reduced to 320 pixels, and finds what moved where in the next one."""

    def __init__(self) -> None:
        """Start without a frame."""
        self._before: NDArray[np.uint8] | None = None

    def advance(self, grey: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32]) -> Motion:
        """Return how the boxes (n, 4) of the last frame moved until this one, ``grey`` uint8 (h, w).

        Of the first frame, and of one of another size, nothing is known: nothing is sure.
        """
        import cv2

        # the shorter side keeps a pixel, however long the other one is
        share = min(1.0, max(_LARGEST_SIDE_PX / max(grey.shape), 1 / min(grey.shape)))
        small = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA) if share < 1 else grey.copy()
        before, self._before = self._before, small.astype(np.uint8, copy=False)
        n, centre = len(boxes_xyxy), _complex((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2)
        still = np.zeros(n, np.complex128), np.ones(n, np.complex128), np.zeros(n, bool)
        if before is None or before.shape != small.shape or not n:
            return Motion(centre=centre, shift=still[0], turn=still[1], sure=still[2])
        points = _grid(boxes_xyxy) * np.float32(share)
        after, found, _ = cv2.calcOpticalFlowPyrLK(
            before,
            small,
            points.reshape(-1, 1, 2),
            np.empty(0, np.float32),  # no first guess of where they are
            winSize=(_WINDOW_PX, _WINDOW_PX),
            maxLevel=_LEVELS,
        )
        height, width = small.shape
        place = np.asarray(after, np.float32).reshape(n, -1, 2)
        inside = ((place >= 0) & (place < (width, height))).all(axis=2)
        usable = (found.reshape(n, -1) == 1) & inside
        side = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).mean(axis=1) * share
        shift, turn, sure = _similarity(_complex(points), _complex(place), usable, side)
        return Motion(centre=centre, shift=shift / share, turn=turn, sure=sure)


def _similarity(
    before: NDArray[np.complex128],
    after: NDArray[np.complex128],
    usable: NDArray[np.bool_],
    side: NDArray[np.float64],
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.bool_]]:
    """Shift of the centre, turn, and whether most points agree, of n grids of k points: medians, which outliers spare.

    A grid's centre is its points' mean before; ``side``: (n,) of the boxes in the same pixels.
    """
    offset = before - before.mean(axis=1, keepdims=True)
    step = after - before
    shift = _median(step, usable)
    ratio = 1 + (step - shift[:, None]) / offset
    turn = _median(ratio, usable)
    residual = np.abs(step - shift[:, None] - (turn[:, None] - 1) * offset)
    agree = (usable & (residual < _MAX_RESIDUAL * side[:, None])).mean(axis=1)
    sure = agree >= _LEAST_SHARE
    return np.where(sure, shift, 0), np.where(sure, turn, 1), sure


def _median(values: NDArray[np.complex128], usable: NDArray[np.bool_]) -> NDArray[np.complex128]:
    """Median of each row's usable values, real and imaginary parts apart; 0 where there is none."""
    rows, middle = np.arange(len(values)), np.maximum(usable.sum(axis=1) - 1, 0) // 2
    real, imaginary = (np.sort(np.where(usable, part, np.inf))[rows, middle] for part in (values.real, values.imag))
    known = usable.any(axis=1)
    return np.where(known, real, 0) + 1j * np.where(known, imaginary, 0)


def _grid(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points float32 (n, 16, 2) in the middle four fifths of boxes (n, 4)."""
    place = np.linspace(0.1, 0.9, _SIDE, dtype=np.float32)
    x, y = (axis.ravel() for axis in np.meshgrid(place, place))
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return np.stack([boxes_xyxy[:, :1] + sides[:, :1] * x, boxes_xyxy[:, 1:2] + sides[:, 1:] * y], axis=-1)


def _complex(points: NDArray[np.floating[Any]]) -> NDArray[np.complex128]:
    numbers: NDArray[np.complex128] = points[..., 0] + 1j * points[..., 1].astype(np.float64)
    return numbers
