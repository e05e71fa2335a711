"""YuNet (Wu, Peng and Yu 2023, "YuNet: a tiny millisecond-level face detector") through OpenCV's FaceDetectorYN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import UsageError
from edge_runtime.quiet import quiet
from edge_runtime.results import NO_DETECTIONS, Detections

_NEXT_STEP = "fetch face_detection_yunet_2023mar.onnx again, or take --detector mtcnn"


class YuNet:
    """The detector, loaded once from its ONNX file; its five landmarks come in the order of ``LANDMARKS``."""

    name = "yunet"

    def __init__(self, file: Path, *, score_threshold: float = 0.7) -> None:
        """Load ``file``. Raises ``UsageError`` when it cannot be read or is no YuNet."""
        import cv2

        try:
            content = file.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: no name that a file can have
            what, got = f"YuNet's file {file}", getattr(error, "strerror", None) or str(error)
            raise UsageError(what, expected="a file to read", got=got, next_step=_NEXT_STEP) from error
        model = np.frombuffer(content, np.uint8)  # not by name: OpenCV takes a file for what its suffix says
        self._size_wh = (320, 320)
        try:
            with quiet():
                # overlap of 0.3 and 5000 candidates, as in OpenCV's example
                config = np.empty(0, np.uint8)
                self._net = cv2.FaceDetectorYN.create("onnx", model, config, self._size_wh, score_threshold, 0.3, 5000)
                self._net.detect(
                    np.zeros((320, 320, 3), np.uint8)
                )  # another network loads as well, and fails only here
        except cv2.error as error:
            what, expected = f"{file.name} is not YuNet", "an ONNX file that finds faces"
            raise UsageError(what, expected=expected, got=str(file), next_step=_NEXT_STEP) from error

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Return the faces in ``image``, uint8 (h, w, 3) BGR."""
        size_wh = image.shape[1], image.shape[0]
        if size_wh != self._size_wh:
            self._net.setInputSize(size_wh)
            self._size_wh = size_wh
        _, found = self._net.detect(image)
        if found is None:
            return NO_DETECTIONS
        rows = found.astype(np.float32, copy=False)
        # a row: x, y, width, height, five landmarks x y, score
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return Detections(boxes_xyxy=boxes, scores=rows[:, 14], landmarks=rows[:, 4:14].reshape(-1, 5, 2))
