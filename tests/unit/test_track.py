"""Stable ids from frame to frame."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.faces.track import Tracker, box_overlap

NONE = np.empty((0, 4), np.float32)


def boxes(*corners: tuple[float, float], side: float = 40) -> NDArray[np.float32]:
    """Return square boxes by their top left corners."""
    return np.array([(x, y, x + side, y + side) for x, y in corners], np.float32).reshape(-1, 4)


def overlap_by_hand(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes, by the definition."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    areas = [max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (a, b)]
    return float(shared / (sum(areas) - shared)) if sum(areas) > shared else 0.0


def test_first_faces_are_numbered_from_one() -> None:
    """The faces of the first frame get the ids 1, 2, 3 in their order."""
    ids = Tracker().update(boxes((0, 0), (100, 0), (200, 0)))
    assert ids.tolist() == [1, 2, 3]
    assert ids.dtype == np.int64


def test_ids_stay_under_small_motion() -> None:
    """Faces that move less than half their size a frame keep their ids over a long way, in whatever order they come."""
    tracker = Tracker()
    for step in range(30):
        corners = [(10.0 * step, 0.0), (300 - 10.0 * step, 200.0)]
        order = [0, 1] if step % 2 == 0 else [1, 0]
        ids = tracker.update(boxes(*(corners[i] for i in order)))
        assert ids.tolist() == [i + 1 for i in order]


def test_a_new_face_gets_a_new_id() -> None:
    """A face that appears elsewhere gets the next id, and the others keep theirs."""
    tracker = Tracker()
    tracker.update(boxes((0, 0), (100, 0)))
    assert tracker.update(boxes((200, 0), (101, 0), (1, 0))).tolist() == [3, 2, 1]
    assert tracker.update(boxes((0, 200))).tolist() == [4]


def test_a_jump_is_a_new_face() -> None:
    """A box that does not overlap the old one is another face."""
    tracker = Tracker()
    tracker.update(boxes((0, 0)))
    assert tracker.update(boxes((39, 0))).tolist() == [2]


def test_the_best_overlap_wins() -> None:
    """When two new boxes overlap an old one, the closer one keeps the id."""
    tracker = Tracker()
    tracker.update(boxes((0, 0)))
    assert tracker.update(boxes((10, 0), (2, 0))).tolist() == [2, 1]


def test_one_old_face_is_not_given_to_two_new_ones() -> None:
    """The same box twice in a frame is two faces."""
    tracker = Tracker()
    tracker.update(boxes((0, 0)))
    assert sorted(tracker.update(boxes((0, 0), (0, 0))).tolist()) == [1, 2]


@pytest.mark.parametrize(("missed", "expected"), [(1, 1), (4, 1), (5, 1), (6, 2), (20, 2)])
def test_id_is_kept_through_missed_frames_up_to_the_patience(missed: int, expected: int) -> None:
    """With a patience of 5 a face may be missed in five frames; after six it is a new one."""
    tracker = Tracker(patience=5)
    tracker.update(boxes((0, 0)))
    for _ in range(missed):
        assert tracker.update(NONE).tolist() == []
    assert tracker.update(boxes((1, 0))).tolist() == [expected]


def test_patience_starts_anew_with_each_sighting() -> None:
    """A face that is seen in between may be missed again for the whole patience."""
    tracker = Tracker(patience=2)
    for _ in range(4):
        assert tracker.update(boxes((0, 0))).tolist() == [1]
        for _ in range(2):
            tracker.update(NONE)


def test_a_face_of_another_place_does_not_use_up_the_patience() -> None:
    """A missed face comes back with its id while another is seen all the time."""
    tracker = Tracker()
    tracker.update(boxes((0, 0), (200, 0)))
    for _ in range(3):
        assert tracker.update(boxes((200, 0))).tolist() == [2]
    assert tracker.update(boxes((0, 0), (200, 0))).tolist() == [1, 2]


def test_an_id_is_never_given_twice() -> None:
    """Ids of faces that are gone are not used again."""
    tracker, seen = Tracker(patience=0), set()
    for step in range(10):
        (face,) = tracker.update(boxes((100.0 * (step % 3), 0))).tolist()
        assert face not in seen
        seen.add(face)


def test_empty_frames_are_empty() -> None:
    """Frames without faces give no ids, first and later."""
    tracker = Tracker()
    for _ in range(3):
        assert tracker.update(NONE).shape == (0,)
    assert tracker.update(boxes((0, 0))).tolist() == [1]


def test_tracks_do_not_grow_without_end() -> None:
    """Flickering false detections are forgotten: what is kept is bounded by the patience."""
    tracker = Tracker(patience=3)
    for step in range(50):
        tracker.update(boxes((100.0 * step, 0)))
    assert len(tracker._ids) <= 4


@pytest.mark.parametrize("seed", range(5))
def test_overlap_follows_its_definition(seed: int) -> None:
    """Overlaps of random boxes, some of them empty or turned inside out, equal the definition pair by pair."""
    random = np.random.default_rng(seed)
    a, b = (random.integers(0, 12, (n, 4)).astype(np.float32) for n in (20, 30))
    a[:, 2:] += a[:, :2] - 3
    b[:, 2:] += b[:, :2] - 3
    expected = [[overlap_by_hand(one, other) for other in b] for one in a]
    assert np.max(expected) > 0.3
    np.testing.assert_allclose(box_overlap(a, b), expected, atol=1e-6)


def test_overlap_of_a_box_with_itself_is_one_and_of_nothing_zero() -> None:
    """A box overlaps itself wholly; a box without area overlaps nothing, itself included."""
    box, point = boxes((3, 4)), boxes((3, 4), side=0)
    assert box_overlap(box, box).tolist() == [[1.0]]
    assert box_overlap(point, point).tolist() == [[0.0]]
    assert box_overlap(NONE, box).shape == (0, 1)
