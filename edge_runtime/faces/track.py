"""Which face of this frame is which of the frames before: ids that stay, faces that come and go without flicker."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_runtime.faces.flow import Motion
from edge_runtime.results import NO_DETECTIONS, Detections

LEAST_OVERLAP = 0.2
"""Least intersection over union of a moved track and a detection that may be the same face."""

_SECOND_NS = 1_000_000_000
_SHOWN_NS = int(0.4 * _SECOND_NS)
KEPT_NS = 2 * _SECOND_NS
"""For how long a face that is not found keeps its id."""


@dataclass(slots=True)
class Tracker:
    """Follows faces by overlap with where they have moved to (as SORT does, Bewley et al. 2016).

    Detections are assigned to tracks so that the sum of overlaps is largest (Hungarian method, by lapx). A face is
    shown once two detections have found it, so that a blob of one frame never appears; those of the first frame are
    shown at once, for there is no past to doubt them by. A face that is not found again stays for one detection or
    0.4 s, whichever is longer, then hides; it keeps its id for 2 s, should it come back near the place. What is found
    and not to be shown is followed under the id 0 until the next detection.
    """

    faces: Detections = NO_DETECTIONS
    """Boxes, scores and landmarks of all tracks, hidden ones too, where they are now."""
    ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _hits: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _missed: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _seen_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _next_id: int = 1
    _started: bool = False

    def move(self, motion: Motion) -> None:
        """Move every track with the picture."""
        boxes, landmarks = motion.boxes(self.faces.boxes_xyxy), motion.points(self.faces.landmarks)
        self.faces = Detections(boxes_xyxy=boxes, scores=self.faces.scores, landmarks=landmarks)

    def update(self, found: Detections, now_ns: int) -> None:
        """Take what a detector found in this frame, at ``now_ns`` on the clock of the frames."""
        if not self.ids.all():  # what was hidden: it has been looked for anew
            self._keep(self.ids > 0)
        track, detection = _assign(box_overlap(self.faces.boxes_xyxy, found.boxes_xyxy))
        self._missed += 1
        self._missed[track] = 0
        self._hits[track] += 1
        self._seen_ns[track] = now_ns
        for own, new in (
            (self.faces.boxes_xyxy, found.boxes_xyxy),
            (self.faces.scores, found.scores),
            (self.faces.landmarks, found.landmarks),
        ):
            own[track] = new[detection]
        fresh = np.ones(len(found), bool)
        fresh[detection] = False
        n = len(found) - len(detection)
        self._add(found.select(fresh), np.arange(self._next_id, self._next_id + n), 1 if self._started else 2, now_ns)
        self._next_id += n
        self._keep(now_ns - self._seen_ns <= KEPT_NS)
        self._started = True

    def forget(self) -> None:
        """Let go of all faces, as before the first frame; no id is given twice."""
        self._keep(np.zeros(len(self.ids), bool))
        self._started = False

    def hide(self, boxes_xyxy: NDArray[np.float32], now_ns: int) -> None:
        """Follow what is in ``boxes_xyxy`` (n, 4), too, until the next ``update``, and never show it."""
        n = len(boxes_xyxy)
        landmarks = np.zeros((n, 5, 2), np.float32)
        unknown = Detections(boxes_xyxy=boxes_xyxy, scores=np.zeros(n, np.float32), landmarks=landmarks)
        self._add(unknown, np.zeros(n, np.int64), 0, now_ns)

    def shown(self, now_ns: int) -> NDArray[np.intp]:
        """Return the indices of the tracks to show, from left to right."""
        recent = (self._missed <= 1) | (now_ns - self._seen_ns <= _SHOWN_NS)
        (index,) = np.nonzero((self._hits > 1) & recent)
        order: NDArray[np.intp] = index[np.argsort(self.faces.boxes_xyxy[index, 0], kind="stable")]
        return order

    def _add(self, found: Detections, ids: NDArray[np.int64], hits: int, now_ns: int) -> None:
        n, old = len(found), self.faces
        self.faces = Detections(
            boxes_xyxy=np.concatenate([old.boxes_xyxy, found.boxes_xyxy]),
            scores=np.concatenate([old.scores, found.scores]),
            landmarks=np.concatenate([old.landmarks, found.landmarks]),
        )
        self.ids = np.concatenate([self.ids, ids])
        self._hits = np.concatenate([self._hits, np.full(n, hits)])
        self._missed = np.concatenate([self._missed, np.zeros(n, np.int64)])
        self._seen_ns = np.concatenate([self._seen_ns, np.full(n, now_ns)])

    def _keep(self, alive: NDArray[np.bool_]) -> None:
        # a face that was found once and not again was none
        alive = alive & ((self._hits > 1) | (self._missed == 0))
        self.faces, self.ids = self.faces.select(alive), self.ids[alive]
        self._hits, self._missed, self._seen_ns = self._hits[alive], self._missed[alive], self._seen_ns[alive]


def box_overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union (len(a), len(b)) of boxes x1, y1, x2, y2; 0 where a box has no area."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    opposite = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (opposite - corner).clip(min=0).prod(axis=2)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).clip(min=0).prod(axis=1) for box in (a, b))
    union = area_a[:, None] + area_b[None, :] - shared
    overlap: NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def _assign(overlap: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs (track, detection) whose sum of overlaps is largest, none below ``LEAST_OVERLAP``."""
    if not overlap.size:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    import lap

    possible = overlap >= LEAST_OVERLAP
    cost = 1 - np.where(possible, overlap, 0).astype(np.float64)  # larger, and two poor pairs would be preferred
    _, partner, _ = lap.lapjv(cost, extend_cost=True)
    (track,) = np.nonzero(partner >= 0)
    track = track[possible[track, partner[track]]]
    return track, partner[track]
