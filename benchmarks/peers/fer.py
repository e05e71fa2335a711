"""The package ``fer`` 25.10.3 (MIT, Justin Shenk) without the TensorFlow that importing it needs.

Its own network by ai-edge-litert, its own face detector by OpenCV 4, and the steps between them as ``fer/fer.py`` has
them. ``python -m benchmarks.peers.fer NETWORK FRAMES`` answers over a pipe: OpenCV 5 has no cascades any more, so its
pipeline runs in an environment, and so in a process, of its own.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from benchmarks.clip import Clip
from edge_runtime.errors import FerEdgeError, NotInstalledError

NETWORK = "fer/data/emotion_model_quantized.tflite"
_SIDE, _PADDING, _OFFSET = 64, 40, 10
_OPENCV_4: Any = cv2
"""What the stubs of OpenCV 5 do not know."""
_CHECKOUT = Path(__file__).resolve().parents[2]


def network_file(environment: Path) -> Path:
    """Return ``fer``'s network in the environment that ``make peers`` makes for it.

    Raises ``NotInstalledError`` when it is not there.
    """
    for site in environment.glob("lib/python*/site-packages"):
        if (site / NETWORK).is_file():
            return site / NETWORK
    raise NotInstalledError("fer's network", expected=NETWORK, got=f"none in {environment}", next_step="make peers")


class FerNetwork:
    """Grey faces to probabilities, one after the other, as ``fer`` does; its labels are in this project's order."""

    def __init__(self, file: Path) -> None:
        """Load the network on one thread."""
        self._interpreter = Interpreter(model_path=str(file), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def probabilities(self, faces: list[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities float32 (n, 7) of grey faces uint8 of any size."""
        sized = np.array([cv2.resize(face, (_SIDE, _SIDE)) for face in faces], np.float32)
        batch = (sized / np.float32(255) - np.float32(0.5)) * np.float32(2)
        answers = []
        for face in batch[..., None]:
            self._interpreter.set_tensor(self._input, face[None])
            self._interpreter.invoke()
            answers.append(self._interpreter.get_tensor(self._output)[0])
        return np.array(answers)


class FerPipeline:
    """``FER().detect_emotions`` at its defaults: Haar cascade, padded frame, faces with ten pixels around them."""

    def __init__(self, network: Path) -> None:
        """Load the network, and the cascade that lies beside it."""
        self._network = FerNetwork(network)
        self._cascade = _OPENCV_4.CascadeClassifier(str(network.with_name("haarcascade_frontalface_default.xml")))

    def __call__(self, image: NDArray[np.uint8]) -> int:
        """Return the number of faces found, and named, in ``image`` uint8 (h, w, 3) BGR."""
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        boxes = self._cascade.detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=5, flags=_OPENCV_4.CASCADE_SCALE_IMAGE, minSize=(50, 50)
        )
        padded = _OPENCV_4.copyMakeBorder(grey, *[_PADDING] * 4, cv2.BORDER_CONSTANT, value=cv2.mean(grey[-2:])[:1] * 3)
        faces = []
        for x, y, width, height in boxes:  # the cascade's boxes are square
            left, top = max(0, x - _OFFSET + _PADDING), max(0, y - _OFFSET + _PADDING)
            right, bottom = x + width + _OFFSET + _PADDING, y + height + _OFFSET + _PADDING
            faces.append(padded[top:bottom, left:right])
        return len(self._network.probabilities(faces)) if faces else 0


class FerProcess:
    """The pipeline in another environment's Python; a call is a line to it and a line back, some 0.05 ms."""

    def __init__(self, environment: Path, clip: Path) -> None:
        """Start it; ``clip`` is a .npy file, uint8 (n, h, w, 3) BGR. Raises ``FerEdgeError`` when it does not start."""
        python, network = environment.absolute() / "bin/python", network_file(environment).absolute()
        command = [str(python), "-m", "benchmarks.peers.fer", str(network), str(clip)]
        self._process = subprocess.Popen(
            command, cwd=_CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.opencv = self._answer()

    def __call__(self, number: int) -> int:
        """Return the number of faces found in frame ``number``; raise ``FerEdgeError`` when the process has ended."""
        with contextlib.suppress(OSError):  # of a closed pipe; what ended it is told below
            print(number, file=self._process.stdin, flush=True)
        return int(self._answer())

    def _answer(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if line:
            return line.strip()
        self.close()
        got, step = f"its end, exit code {self._process.returncode}", "see to the message above, or rm -r .venv/peers"
        raise FerEdgeError("fer's pipeline", expected="an answer", got=got, next_step=step)

    def close(self) -> None:
        """End it: its input ends."""
        self._process.communicate()


def main() -> None:
    """Answer each frame number on standard input by the number of its faces."""
    cv2.setNumThreads(1)
    pipeline, clip = FerPipeline(Path(sys.argv[1])), Clip(images=tuple(np.load(sys.argv[2])), fps=30.0, still=False)
    print(cv2.__version__, flush=True)
    for line in sys.stdin:
        print(pipeline(clip.frame(int(line)).image), flush=True)


if __name__ == "__main__":
    main()
