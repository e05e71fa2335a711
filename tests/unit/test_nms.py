"""Non-maximum suppression: of boxes that overlap the best is kept."""

from __future__ import annotations

import numpy as np

from edge_runtime.faces.mtcnn import nms
from edge_runtime.faces.track import box_overlap


def test_nms_keeps_the_best_of_what_overlaps() -> None:
    """The better of two overlapping boxes stays, far ones stay, and the order is by score."""
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], np.float32)
    scores = np.array([0.8, 0.9, 0.95], np.float32)
    assert nms(boxes, scores, 0.5).tolist() == [2, 1]
    assert nms(boxes, scores, 0.9).tolist() == [2, 1, 0]
    assert nms(boxes[:0], scores[:0], 0.5).tolist() == []


def test_nms_min_drops_a_box_inside_another() -> None:
    """A small box within a large one has little of the union but all of itself in common."""
    boxes = np.array([[0, 0, 20, 20], [5, 5, 12, 12]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    assert nms(boxes, scores, 0.7).tolist() == [0, 1]
    assert nms(boxes, scores, 0.7, "min").tolist() == [0]


def test_what_nms_keeps_does_not_overlap_and_covers_the_rest() -> None:
    """No two kept of 200 random boxes overlap beyond the threshold, and each dropped one overlaps a better kept one."""
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 80, (200, 2))
    boxes = np.hstack([corners, corners + rng.uniform(5, 40, (200, 2))]).astype(np.float32)
    scores = rng.permutation(200).astype(np.float32)
    kept = nms(boxes, scores, 0.4)
    overlap = box_overlap(boxes, boxes)
    among_kept = overlap[np.ix_(kept, kept)] - np.eye(len(kept))
    assert among_kept.max() <= 0.4 + 1e-6
    for dropped in set(range(200)) - set(kept.tolist()):
        better = kept[scores[kept] > scores[dropped]]
        assert overlap[dropped, better].max() > 0.4 - 1e-6
