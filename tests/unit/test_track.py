"""Stable ids, faces that come and go without flicker, and following them between detections."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.faces.flow import Flow, Motion
from edge_runtime.faces.track import LEAST_OVERLAP, Tracker, _assign, box_overlap
from edge_runtime.results import NO_DETECTIONS, Detections

cv2 = pytest.importorskip("cv2")

MS = 1_000_000
FRAME_NS = 33 * MS


def found(*corners: tuple[float, float], side: float = 40) -> Detections:
    """Return square faces by their top left corners, each with its landmarks inside."""
    at = np.array(corners, np.float32).reshape(-1, 2)
    points = np.array([(10, 15), (30, 15), (20, 22), (13, 31), (27, 31)], np.float32) * side / 40
    return Detections(
        boxes_xyxy=np.concatenate([at, at + side], axis=1).astype(np.float32),
        scores=np.full(len(at), 0.9, np.float32),
        landmarks=(at[:, None] + points).astype(np.float32),
    )


def shown_ids(tracker: Tracker, now_ns: int = 0) -> list[int]:
    """Return the ids that are shown, from left to right."""
    ids: list[int] = tracker.ids[tracker.shown(now_ns)].tolist()
    return ids


def overlap_by_hand(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes, by the definition."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    areas = [max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (a, b)]
    return float(shared / (sum(areas) - shared)) if sum(areas) > shared else 0.0


def test_first_faces_are_shown_at_once_and_numbered_from_one() -> None:
    """The faces of the first frame get the ids 1, 2, 3 in their order, and are shown from left to right."""
    tracker = Tracker()
    tracker.update(found((0, 0), (200, 0), (100, 0)), 0)
    assert shown_ids(tracker) == [1, 3, 2]


def test_a_later_face_is_shown_when_it_is_found_again() -> None:
    """A face that enters is shown at its second detection, under one id from the first."""
    tracker = Tracker()
    tracker.update(found((0, 0)), 0)
    tracker.update(found((0, 0), (100, 0)), FRAME_NS)
    assert shown_ids(tracker, FRAME_NS) == [1]
    tracker.update(found((0, 0), (103, 0)), 2 * FRAME_NS)
    assert shown_ids(tracker, 2 * FRAME_NS) == [1, 2]


def test_a_false_blob_of_one_frame_never_appears() -> None:
    """What is found in one frame alone is not shown in it, nor afterwards, and is forgotten at once."""
    tracker = Tracker()
    tracker.update(found((0, 0)), 0)
    for frame in range(1, 40):
        blob = [(300.0, 10.0 * frame)] if frame % 2 else []
        tracker.update(found((0, 0), *blob), frame * FRAME_NS)
        assert shown_ids(tracker, frame * FRAME_NS) == [1]
        assert len(tracker.ids) <= 2


def test_ids_stay_under_motion_in_whatever_order() -> None:
    """Faces that move less than half their size a frame keep their ids over a long way."""
    tracker = Tracker()
    for step in range(30):
        corners = [(10.0 * step, 0.0), (300 - 10.0 * step, 200.0)]
        order = [0, 1] if step % 2 == 0 else [1, 0]
        tracker.update(found(*(corners[i] for i in order)), step * FRAME_NS)
        boxes = tracker.faces.boxes_xyxy
        assert dict(zip(tracker.ids.tolist(), boxes[:, 1].tolist(), strict=True)) == {1: 0.0, 2: 200.0}


def test_a_jump_is_a_new_face() -> None:
    """A box that does not overlap the old one is another face."""
    tracker = Tracker()
    tracker.update(found((0, 0)), 0)
    for frame in (1, 2):
        tracker.update(found((39, 0)), frame * FRAME_NS)
    assert 2 in shown_ids(tracker, 2 * FRAME_NS)


def test_the_sum_of_overlaps_decides_not_the_best_pair() -> None:
    """Greedy matching would give the middle detection to its best track and leave the other one alone."""
    tracker = Tracker()
    tracker.update(found((0, 0), (30, 0)), 0)
    # 21 overlaps both tracks, the second more; 45 overlaps the second alone
    tracker.update(found((21, 0), (45, 0)), FRAME_NS)
    assert dict(zip(tracker.faces.boxes_xyxy[:, 0].tolist(), tracker.ids.tolist(), strict=True)) == {21.0: 1, 45.0: 2}


def test_a_face_that_stands_still_is_not_given_up_for_two_poor_pairs() -> None:
    """The right one of two goes, and another comes at the left: the sum decides, and not how many pairs there are."""
    tracker = Tracker()
    tracker.update(found((100, 100), (116, 100)), 0)
    tracker.update(found((100, 100), (84, 100)), FRAME_NS)
    at = dict(zip(tracker.faces.boxes_xyxy[:, 0].tolist(), tracker.ids.tolist(), strict=True))
    assert at[100.0] == 1


@pytest.mark.parametrize("seed", range(40))
def test_no_other_assignment_has_a_larger_sum(seed: int) -> None:
    """Against each way of pairing up to four faces with up to four."""
    random = np.random.default_rng(seed)
    overlap = (random.random(random.integers(1, 5, 2)) * (random.random() < 0.9)).astype(np.float32)
    track, detection = _assign(overlap)
    possible = np.where(overlap >= LEAST_OVERLAP, overlap, 0)
    wide = possible if possible.shape[0] <= possible.shape[1] else possible.T
    best = max(
        wide[range(len(wide)), places].sum() for places in itertools.permutations(range(wide.shape[1]), len(wide))
    )
    assert overlap[track, detection].sum() == pytest.approx(best)
    assert (overlap[track, detection] >= LEAST_OVERLAP).all()


def test_a_missed_detection_hides_nothing_and_a_longer_absence_does() -> None:
    """One miss, and any within 0.4 s, is bridged; then the face hides, and after 2 s its id is gone for good."""
    tracker = Tracker()
    tracker.update(found((0, 0)), 0)
    tracker.update(NO_DETECTIONS, 300 * MS)
    assert shown_ids(tracker, 300 * MS) == [1]
    tracker.update(NO_DETECTIONS, 390 * MS)
    assert shown_ids(tracker, 390 * MS) == [1]
    tracker.update(NO_DETECTIONS, 500 * MS)
    assert shown_ids(tracker, 500 * MS) == []
    tracker.update(found((5, 0)), 1_900 * MS)
    assert shown_ids(tracker, 1_900 * MS) == [1]
    tracker.update(NO_DETECTIONS, 3_950 * MS)
    for later in (4_000, 4_033):
        tracker.update(found((5, 0)), later * MS)
    assert shown_ids(tracker, 4_033 * MS) == [2]


def test_a_slow_detector_does_not_hide_what_it_missed_once() -> None:
    """At two detections a second, one miss is longer than 0.4 s and still bridged."""
    tracker = Tracker()
    tracker.update(found((0, 0)), 0)
    tracker.update(NO_DETECTIONS, 500 * MS)
    assert shown_ids(tracker, 500 * MS) == [1]
    tracker.update(NO_DETECTIONS, 1_000 * MS)
    assert shown_ids(tracker, 1_000 * MS) == []


def test_no_two_faces_share_an_id_and_ids_are_not_reused() -> None:
    """Over random comings and goings ids are unique in a frame, and a dead one does not come back."""
    random, tracker, last = np.random.default_rng(3), Tracker(), 0
    for frame in range(300):
        corners = random.uniform(0, 600, (random.integers(0, 12), 2))
        tracker.update(found(*map(tuple, corners)), frame * 200 * MS)
        ids = tracker.ids.tolist()
        assert len(ids) == len(set(ids))
        assert len(ids) == len(tracker.faces)
        fresh = [i for i in ids if i > last]
        assert sorted(fresh) == fresh
        last = max([last, *ids])


def test_fifty_faces() -> None:
    """Fifty faces that all move keep their fifty ids."""
    tracker = Tracker()
    places = [(60.0 * column, 60.0 * row) for row, column in itertools.product(range(5), range(10))]
    for step in range(5):
        tracker.update(found(*((x + 6 * step, y + 4 * step) for x, y in places)), step * FRAME_NS)
    assert sorted(tracker.ids.tolist()) == list(range(1, 51))
    assert len(shown_ids(tracker, 4 * FRAME_NS)) == 50


@pytest.mark.parametrize("seed", range(5))
def test_overlap_follows_its_definition(seed: int) -> None:
    """The matrix holds the intersection over union of each pair, also of boxes without area."""
    random = np.random.default_rng(seed)
    a, b = (random.uniform(-20, 60, (n, 4)).astype(np.float32) for n in (6, 4))
    expected = [[overlap_by_hand(one, other) for other in b] for one in a]
    np.testing.assert_allclose(box_overlap(a, b), expected, atol=1e-6)


def test_what_is_hidden_is_followed_and_forgotten_at_the_next_detection() -> None:
    """It is never shown, has no number, moves with the picture, and makes no claim to what is found next."""
    tracker = Tracker()
    tracker.update(found((0, 0)), 0)
    tracker.hide(found((100, 0)).boxes_xyxy, 0)
    assert tracker.ids.tolist() == [1, 0]
    assert shown_ids(tracker) == [1]
    right = Motion(
        centre=np.array([20 + 20j, 120 + 20j]),
        shift=np.full(2, 5 + 0j),
        turn=np.ones(2, complex),
        sure=np.ones(2, bool),
    )
    tracker.move(right)
    np.testing.assert_allclose(tracker.faces.boxes_xyxy, found((5, 0), (105, 0)).boxes_xyxy)
    tracker.update(found((100, 0)), FRAME_NS)
    assert tracker.ids.tolist() == [1, 2]
    assert shown_ids(tracker, FRAME_NS) == [1]


def texture(seed: int = 0) -> NDArray[np.uint8]:
    """Return a seeded picture with something to follow everywhere."""
    noise = np.random.default_rng(seed).integers(0, 256, (60, 80)).astype(np.uint8)
    picture: NDArray[np.uint8] = cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
    return picture


def warped(picture: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Move a picture by a matrix (2, 3)."""
    moved: NDArray[np.uint8] = cv2.warpAffine(picture, matrix, (640, 480), borderMode=cv2.BORDER_REFLECT_101)
    return moved


@pytest.mark.parametrize(
    ("angle", "growth", "shift"),
    [(0, 1, (7, -4)), (3, 1, (0, 0)), (0, 1.04, (0, 0)), (-2, 0.97, (5, 6)), (0, 1, (0, 0))],
)
def test_flow_finds_shift_turn_and_growth(angle: float, growth: float, shift: tuple[float, float]) -> None:
    """Boxes and landmarks go where the picture under them goes, to a pixel of a move of fifteen."""
    picture, faces, flow = texture(), found((100, 100), (400, 250), side=90), Flow()
    matrix = cv2.getRotationMatrix2D((320, 240), angle, growth)
    matrix[:, 2] += shift
    flow.advance(picture, faces.boxes_xyxy)
    motion = flow.advance(warped(picture, matrix), faces.boxes_xyxy)
    assert motion.sure.all()
    expected = faces.landmarks @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(motion.points(faces.landmarks), expected, atol=1.0)
    centres = (faces.boxes_xyxy[:, :2] + faces.boxes_xyxy[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    moved = motion.boxes(faces.boxes_xyxy)
    np.testing.assert_allclose((moved[:, :2] + moved[:, 2:]) / 2, centres, atol=1.0)
    np.testing.assert_allclose(moved[:, 2] - moved[:, 0], 90 * growth, rtol=0.02)


def test_flow_doubts_what_it_cannot_follow() -> None:
    """Another scene, the first frame, another size and a face that has left: not sure, and nothing is moved."""
    faces, flow = found((100, 100), (400, 250), side=90), Flow()
    first = flow.advance(texture(1), faces.boxes_xyxy)
    assert not first.sure.any()
    other = flow.advance(texture(2), faces.boxes_xyxy)
    assert not other.sure.all()
    np.testing.assert_array_equal(other.boxes(faces.boxes_xyxy)[~other.sure], faces.boxes_xyxy[~other.sure])
    resized = flow.advance(texture(2)[:240], faces.boxes_xyxy)
    assert not resized.sure.any()
    flow.advance(texture(3), faces.boxes_xyxy)
    gone = flow.advance(texture(3), found((700, 600), side=90).boxes_xyxy)
    assert not gone.sure.any()


def test_flow_of_no_faces_is_no_motion() -> None:
    """Frames without faces cost nothing and are remembered."""
    flow = Flow()
    for seed in (1, 2):
        assert len(flow.advance(texture(seed), NO_DETECTIONS.boxes_xyxy).sure) == 0


def test_a_tracker_moves_with_the_picture() -> None:
    """Between detections boxes and landmarks follow the motion, and detections are matched to where they have got."""
    tracker = Tracker()
    tracker.update(found((0, 0)), 0)
    right = Motion(
        centre=np.array([20 + 20j]), shift=np.array([35 + 0j]), turn=np.array([1 + 0j]), sure=np.array([True])
    )
    tracker.move(right)
    np.testing.assert_allclose(tracker.faces.boxes_xyxy, [[35, 0, 75, 40]])
    np.testing.assert_allclose(tracker.faces.landmarks, found((35, 0)).landmarks)
    tracker.update(found((36, 0)), FRAME_NS)
    assert shown_ids(tracker, FRAME_NS) == [1]
