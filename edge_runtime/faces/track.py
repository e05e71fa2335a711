"""Stable ids: which face of this frame is which face of the frame before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Tracker:
    """Greedy matching by overlap: the best overlapping pair of an old and a new box first, down to ``least_overlap``.

    A track that finds no box is kept for ``patience`` frames, so that a missed detection does not change an id.
    """

    def __init__(self, least_overlap: float = 0.3, patience: int = 15) -> None:
        """Start with no tracks."""
        self._least_overlap, self._patience = least_overlap, patience
        self._boxes = np.empty((0, 4), np.float32)
        self._ids = np.empty(0, np.int64)
        self._missed = np.empty(0, np.int64)
        self._next_id = 1

    def update(self, boxes_xyxy: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the track id int64 (n,) of each box float32 (n, 4) of the next frame."""
        overlap = box_overlap(self._boxes, boxes_xyxy)
        ids = np.zeros(len(boxes_xyxy), np.int64)
        matched = np.zeros(len(self._boxes), bool)
        while overlap.size and overlap.max() >= self._least_overlap:
            old, new = np.unravel_index(overlap.argmax(), overlap.shape)
            ids[new], matched[old] = self._ids[old], True
            overlap[old, :] = overlap[:, new] = -1
        born = ids == 0
        ids[born] = np.arange(self._next_id, self._next_id + born.sum())
        self._next_id += int(born.sum())
        waiting = ~matched & (self._missed < self._patience)
        self._boxes = np.concatenate([boxes_xyxy, self._boxes[waiting]])
        self._ids = np.concatenate([ids, self._ids[waiting]])
        self._missed = np.concatenate([np.zeros(len(ids), np.int64), self._missed[waiting] + 1])
        return ids


def box_overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union (len(a), len(b)) of boxes x1, y1, x2, y2; 0 where a box has no area."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    opposite = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (opposite - corner).clip(min=0).prod(axis=2)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).clip(min=0).prod(axis=1) for box in (a, b))
    union = area_a[:, None] + area_b[None, :] - shared
    overlap: NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap
