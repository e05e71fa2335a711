"""The recogniser on frames that no camera should give, and that some do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import Recogniser, open_source
from edge_runtime.emotions.backends.null import NullBackend
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import UsageError
from edge_runtime.faces.detectors import ReducedDetector
from edge_runtime.results import Detections, Frame
from edge_runtime.sources.synthetic import PanSource

cv2 = pytest.importorskip("cv2")

MS = 1_000_000


class Scripted:
    """A detector that finds what it is told to."""

    name = "scripted"

    def __init__(self, found: Detections) -> None:
        """Keep it."""
        self.found, self.calls = found, 0

    def detect(self, image: np.ndarray) -> Detections:
        """Find it."""
        assert image.size
        self.calls += 1
        return self.found


def faces(n: int) -> Detections:
    """Return n faces in a grid of a 640×480 picture, with landmarks as FER2013 has them."""
    template = np.array([(14.7, 17.8), (32.3, 17.8), (23.5, 28.2), (16.4, 35.5), (30.6, 35.5)], np.float32)
    corners = np.array([(60 * (i % 10) + 5, 90 * (i // 10) + 5) for i in range(n)], np.float32).reshape(-1, 2)
    return Detections(
        boxes_xyxy=np.concatenate([corners, corners + 48], axis=1),
        scores=np.linspace(1, 0.1, n, dtype=np.float32),
        landmarks=corners[:, None] + template,
    )


def recogniser(found: Detections, detect_width: int = 320, **options: object) -> Recogniser:
    """Return a recogniser of scripted detections, whose network answers zeros."""
    card = read_card(bundle_folder("student"))
    classifier = EmotionClassifier(card, card.artefacts[0], NullBackend())
    return Recogniser(classifier, ReducedDetector(detector=Scripted(found), detect_width=detect_width), **options)


def frame(image: np.ndarray, index: int = 0, captured_ns: int | None = None) -> Frame:
    """Return a frame of a thirtieth of a second."""
    return Frame(image=image, index=index, captured_ns=33 * MS * index if captured_ns is None else captured_ns)


GREY = np.full((480, 640, 3), 128, np.uint8)


def test_fifty_faces_in_a_frame() -> None:
    """All of them are read in one frame, from left to right, each with its own number."""
    result = recogniser(faces(50)).process(frame(GREY))
    assert len(result.faces) == 50
    assert len({face.track_id for face in result.faces}) == 50
    lefts = [face.box_xyxy[0] for face in result.faces]
    assert lefts == sorted(lefts)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_landmarks_that_are_no_numbers_are_no_face(value: float) -> None:
    """A detector's nonsense is dropped before anything is cut from the picture; the other faces are read."""
    found = faces(3)
    found.landmarks[1, 2] = value
    assert len(recogniser(found).process(frame(GREY)).faces) == 2


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 53), (53, 53, 5, 5), (5, 5, np.inf, 53), (-np.inf, 5, 53, 53), (np.nan,) * 4]
)
def test_boxes_without_a_size_are_no_face(box: tuple[float, ...]) -> None:
    """A box of no area, one turned inside out, and one that is no number are dropped; the other faces are read."""
    found = faces(3)
    found.boxes_xyxy[1] = box
    result = recogniser(found).process(frame(GREY))
    assert len(result.faces) == 2
    assert result.unshown_xyxy == ()


@pytest.mark.parametrize("hw", [(0, 0), (0, 640), (480, 0), (1, 1), (2, 3), (11, 640), (480, 5), (1000, 1), (2, 5000)])
def test_tiny_frames_hold_no_face(hw: tuple[int, int]) -> None:
    """A picture of nothing, or too small for any face, is an empty result, also in the midst of others."""
    running = recogniser(faces(1))
    running.process(frame(GREY))
    running.process(frame(np.zeros((*hw, 3), np.uint8), 1))
    running.process(frame(np.zeros((*hw, 3), np.uint8), 2))
    running.reset()
    assert running.process(frame(np.zeros((*hw, 3), np.uint8), 3)).faces == ()


@pytest.mark.parametrize("shape", [(480, 640), (480, 640, 4), (0,)])
def test_frames_that_are_no_pictures_are_refused(shape: tuple[int, ...]) -> None:
    """Grey, four channels and no picture at all end in one usage error."""
    with pytest.raises(UsageError):
        recogniser(faces(1)).process(frame(np.zeros(shape, np.uint8)))


def test_a_resolution_that_changes_in_mid_stream() -> None:
    """Larger and smaller frames follow each other, and the run goes on."""
    running = recogniser(faces(2))
    for index, (height, width) in enumerate([(480, 640), (480, 640), (720, 1280), (240, 320), (480, 640)]):
        result = running.process(frame(np.full((height, width, 3), 90, np.uint8), index))
        assert result.frame.image.shape[:2] == (height, width)


def test_a_clock_that_jumps_does_no_harm() -> None:
    """Times that stand still, jump ahead by a day and go back leave the same faces with finite probabilities."""
    running = recogniser(faces(2))
    for index, captured_ns in enumerate([0, 0, 86_400_000 * MS, 5 * MS, 10 * MS, 43 * MS]):
        result = running.process(frame(GREY, index, captured_ns))
        assert all(np.isfinite(face.probabilities).all() for face in result.faces)
    assert len(result.faces) == 2


def test_the_detectors_width_stays_as_it_was_asked_for() -> None:
    """Far faces need more than 320 pixels: what the detector was opened with is what it is used with, and told."""
    reader = recogniser(faces(1), detect_width=640)
    result = reader.process(frame(np.full((480, 640, 3), 100, np.uint8)))
    assert reader.detector.detect_width == result.detection.width == 640


def test_small_and_doubtful_faces_are_left_out_when_asked() -> None:
    """A least size and a least score are those of the faces that stay: 96 pixels, found at half that size."""
    assert len(recogniser(faces(10), min_score=0.55).process(frame(GREY)).faces) == 5
    assert len(recogniser(faces(10), min_face=97).process(frame(GREY)).faces) == 0
    assert len(recogniser(faces(10), min_face=96).process(frame(GREY)).faces) == 10


def moving(step: int) -> np.ndarray:
    """Return a seeded picture with something to follow everywhere, that goes 8 pixels to the right with each step."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 100, 3)).astype(np.uint8)
    picture: np.ndarray = cv2.resize(noise, (800, 480), interpolation=cv2.INTER_CUBIC)
    return picture[:, 80 - 8 * step : 720 - 8 * step]


@pytest.mark.parametrize("asked", [{"min_face": 97}, {"min_score": 0.95}])
def test_what_was_not_asked_for_is_still_told_of(asked: dict[str, float]) -> None:
    """For whoever hides faces the box of one that is too small or doubtful follows it, until it is not found again."""
    detector = Scripted(faces(1))
    detector.found.scores[:] = 0.9
    running = recogniser(faces(1), **asked)
    running.detector.detector = detector
    results = [running.process(frame(moving(step), step)) for step in range(4)]
    assert [result.faces for result in results] == [()] * 4
    assert [result.detection.ran for result in results] == [True, False, False, True]
    lefts = [left for result in results for left, *_ in result.unshown_xyxy]
    np.testing.assert_allclose(lefts, [10, 18, 26, 10], atol=0.5)  # found at 10, and followed
    detector.found = faces(0)
    assert len(running.process(frame(moving(4), 4)).unshown_xyxy) == 1
    assert [running.process(frame(moving(step), step)).unshown_xyxy for step in (5, 6)][1] == ()


def test_what_is_hidden_takes_no_number() -> None:
    """Beside ten faces, of which five are asked for, one that enters later is the sixth."""
    detector = Scripted(faces(10))
    running = recogniser(faces(10), min_score=0.55, detect_every=1)
    running.detector.detector = detector
    for step in range(5):
        result = running.process(frame(GREY, step))
    assert [face.track_id for face in result.faces] == [1, 2, 3, 4, 5]
    assert len(result.unshown_xyxy) == 5
    detector.found = faces(10)
    detector.found.scores[7] = 0.6
    for step in (5, 6):
        result = running.process(frame(GREY, step))
    assert [face.track_id for face in result.faces] == [1, 2, 3, 4, 5, 6]
    assert len(result.unshown_xyxy) == 4


@pytest.mark.parametrize(
    "wrong", [{"detect_every": 0}, {"budget_ms": 0.0}, {"min_face": -1}, {"min_score": 1.5}, {"min_score": -0.1}]
)
def test_values_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    """Each refused value names its flag."""
    with pytest.raises(UsageError, match="--" + next(iter(wrong)).replace("_", "-")):
        recogniser(faces(1), **wrong)


def test_what_is_not_shown_yet_is_told_of() -> None:
    """A face that has entered is shown at its second detection; before, its box is there for whoever hides faces."""
    detector = Scripted(faces(1))
    running = recogniser(faces(1), detect_every=1)
    running.detector.detector = detector
    assert running.process(frame(GREY, 0)).unshown_xyxy == ()
    detector.found = faces(2)
    entered = running.process(frame(GREY, 1))
    assert [face.track_id for face in entered.faces] == [1]
    ((left, *_),) = entered.unshown_xyxy
    assert left == 2 * faces(2).boxes_xyxy[1, 0]  # it was found at half the size
    assert running.process(frame(GREY, 2)).unshown_xyxy == ()


def test_reset_makes_the_next_frame_the_first() -> None:
    """Faces of the next picture are numbered from one and shown at once, as after loading."""
    running = recogniser(faces(2))
    running.process(frame(GREY))
    running.reset()
    assert [face.track_id for face in running.process(frame(GREY, 1)).faces] == [1, 2]


def test_each_picture_of_a_folder_is_seen_for_itself(tmp_path: Path) -> None:
    """Called with a source's frames, every picture is looked at anew, and faces are not averaged with the one before's.

    Of a video the same call would show the second picture's faces at their second detection.
    """
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), GREY)
    running = recogniser(faces(1))
    detector = running.detector.detector = Scripted(faces(1))
    with open_source(str(tmp_path)) as pictures:
        first, second = pictures
    assert [face.track_id for face in running(first)] == [1]
    running._smoother.update(1, np.eye(7, dtype=np.float32)[3], first.captured_ns)
    detector.found = faces(3)
    faces_of_second = running(second)
    assert [face.track_id for face in faces_of_second] == [1, 2, 3]
    np.testing.assert_allclose(faces_of_second[0].probabilities, 1 / 7, atol=1e-6)
    assert detector.calls == 2
    running._smoother.update(1, np.eye(7, dtype=np.float32)[3], first.captured_ns)
    faces_of_third = running(GREY, still=True)  # a bare picture, of which the call says so
    assert [face.track_id for face in faces_of_third] == [1, 2, 3]
    np.testing.assert_allclose(faces_of_third[0].probabilities, 1 / 7, atol=1e-6)
    assert detector.calls == 3


def test_a_file_is_averaged_over_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of a video of 10 a second are 0.1 s apart, however fast they are read; a bare image is of now."""
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 480))
    for _ in range(4):
        writer.write(GREY)
    writer.release()
    running, times_ns = recogniser(faces(1)), []
    update = running._smoother.update

    def listening(track: int, probabilities: np.ndarray, now_ns: int) -> tuple[np.ndarray, int]:
        times_ns.append(now_ns)
        return update(track, probabilities, now_ns)

    monkeypatch.setattr(running._smoother, "update", listening)
    with open_source(str(tmp_path / "a.avi")) as video:
        for each in video:
            assert len(running(each)) == 1
    assert np.diff(times_ns).tolist() == [100 * MS] * 3
    before_ns = time.monotonic_ns()
    running(GREY)
    assert before_ns <= times_ns[-1] <= time.monotonic_ns()


@pytest.fixture(scope="module")
def shipped() -> Iterator[Recogniser]:
    """Load the shipped student with MTCNN."""
    with Recogniser.load("student", detector="mtcnn") as loaded:
        yield loaded


def test_a_budget_is_reported(shipped: Recogniser, group_picture: Path) -> None:
    """What a budget did to detection is in the result: how often, how wide, and whether it ran."""
    shipped.reset()
    shipped._pace.budget_ms = 1.0
    frames = [f for f, _ in zip(PanSource(group_picture), range(60), strict=False)]
    reports = [shipped.process(each).detection for each in frames]
    assert reports[0].ran
    assert (reports[0].every, reports[0].width) == (3, 320)
    assert reports[-1].every == 8
    assert reports[-1].width < 320
    assert sum(report.ran for report in reports) < 30


def test_a_face_that_enters_is_shown_within_half_a_second(shipped: Recogniser, group_picture: Path) -> None:
    """Half of the picture is covered at first; 15 frames, of 30 a second, after it is uncovered all faces are shown."""
    shipped.reset()
    seen = []
    for each, _ in zip(PanSource(group_picture), range(40), strict=False):
        image = each.image.copy()
        if each.index < 15:
            image[:, 320:] = 128
        result = shipped.process(Frame(image=image, index=each.index, captured_ns=each.captured_ns))
        seen.append(len(result.faces))
    assert max(seen[:15]) <= 3
    assert seen[15 + 14] == 5


@pytest.mark.parametrize("gone_s", [0.1, 2.5])
def test_after_a_long_absence_of_the_camera_nobody_is_taken_for_who_was_there(gone_s: float) -> None:
    """No face of before is shown; who stands there is found in the first frame, under a new number."""
    watching = recogniser(faces(2), detect_every=3)
    before = [watching.process(frame(GREY, i)).faces for i in range(4)][-1]
    back = watching.process(frame(GREY, captured_ns=round(99 * MS + gone_s * 1000 * MS)))
    assert back.detection.ran
    assert [face.track_id for face in before] == [1, 2]
    assert [face.track_id for face in back.faces] == ([3, 4] if gone_s > 2 else [1, 2])


def test_pictures_of_another_size_are_of_nobody_known() -> None:
    """Boxes are in pixels of the frame before: in another resolution they mean nothing."""
    watching = recogniser(faces(1))
    watching.process(frame(GREY))
    larger = watching.process(frame(np.full((960, 1280, 3), 128, np.uint8), 1))
    assert larger.detection.ran
    assert [face.track_id for face in larger.faces] == [2]
