"""Networks of other projects by ONNX Runtime, as architectures: what they cost, and nothing about what they answer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_runtime.errors import NotInstalledError

# of ImageNet: what their makers subtract and divide by; its cost is that of any other
_MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1)
_STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 3, 1, 1)


class RandomNetwork:
    """Grey faces to what a network with random weights answers, that reads colour pictures; one thread."""

    def __init__(self, file: Path) -> None:
        """Load the network; raise ``NotInstalledError`` when its file was not made."""
        if not file.is_file():
            raise NotInstalledError(str(file), expected="a network", got="no file", next_step="make peers")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        (reads,) = self._session.get_inputs()
        self._input, self._side = reads.name, reads.shape[-1]

    def probabilities(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 (n, 7) of grey faces uint8 (n, h, w), each resized and repeated for the three colours."""
        sized = np.array([cv2.resize(face, (self._side, self._side)) for face in faces], np.float32)
        batch = (sized[:, None] / np.float32(255) - _MEAN) / _STD
        answers: NDArray[np.float32] = self._session.run(None, {self._input: batch})[0]
        return answers
