"""TFLite artefacts by another interpreter: tflite-runtime needs an older numpy, and so an environment of its own.

``python -m export.elsewhere BUNDLE FOLDER``, by that environment's Python, loads each as a device would and compares
it with torch on the faces in FOLDER; it imports nothing but numpy and the device side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.classifier import EmotionClassifier
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import BundleError, NotInstalledError
from export import parity


def verdicts(
    python: Path, bundle: Path, faces: NDArray[np.uint8], reference: NDArray[np.float32]
) -> dict[str, dict[str, str]]:
    """Return what ``Artefact.elsewhere`` holds, by artefact: the interpreter's name -> "right", or why it is not.

    ``reference`` float32 (n, 7): torch's logits of ``faces`` uint8 (n, 48, 48). Raises ``NotInstalledError`` when
    ``python`` has no interpreter.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "faces.npy", faces)
        np.save(Path(folder) / "reference.npy", reference)
        printed = _run(python, "-m", "export.elsewhere", str(bundle.resolve()), folder)
    found: dict[str, dict[str, str]] = json.loads(printed.splitlines()[-1])
    return found


def require_interpreter(python: Path) -> None:
    """Raise ``NotInstalledError`` when ``python`` is none, or has no tflite-runtime."""
    _run(python, "-c", "import numpy, tflite_runtime.interpreter")


def _run(python: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    command = [str(python), *arguments]
    try:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        got = ((getattr(error, "stderr", None) or str(error)).strip().splitlines() or [str(error)])[-1]
        step = "in the checkout, pip install '.[pi-legacy]' in an environment of its own, and name its Python"
        what = f"--tflite-runtime {python}"
        raise NotInstalledError(what, expected="tflite-runtime", got=got, next_step=step) from error


def main(bundle: Path, folder: Path) -> None:
    """Print, as JSON, the verdict of this Python's interpreter on every TFLite artefact of ``bundle``."""
    from edge_runtime.emotions.backends.tflite import TfliteBackend

    faces, reference = np.load(folder / "faces.npy"), np.load(folder / "reference.npy")
    found = {}
    for artefact in read_card(bundle).artefacts:
        if artefact.engine != "tflite":
            continue
        try:
            classifier = EmotionClassifier.load(bundle, engine="tflite", precision=artefact.precision)
            logits = [classifier.logits(faces[i : i + 64]) for i in range(0, len(faces), 64)]
            agreement = parity.compare(reference, np.concatenate(logits))
            verdict = parity.objection(agreement, artefact.precision) or "right"
        except BundleError as error:
            verdict = f"refused: {error}"
        found[str(artefact)] = {f"{TfliteBackend.name} {TfliteBackend.version}": verdict}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
