"""The recogniser on frames that no camera should give, and that some do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import Recogniser
from edge_runtime.emotions.backends.null import NullBackend
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import UsageError
from edge_runtime.faces.detectors import ReducedDetector
from edge_runtime.results import Detections, Frame
from edge_runtime.sources.synthetic import PanSource

pytest.importorskip("cv2")

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


@pytest.mark.parametrize("hw", [(0, 0), (0, 640), (480, 0), (1, 1), (2, 3), (11, 640), (480, 5)])
def test_tiny_frames_hold_no_face(hw: tuple[int, int]) -> None:
    """A picture of nothing, or too small for any face, is an empty result."""
    assert recogniser(faces(1)).process(frame(np.zeros((*hw, 3), np.uint8))).faces == ()


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
