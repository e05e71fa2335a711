"""What an export reads off labelled faces: the calibration batch and the temperature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import DataError
from edge_runtime.scoring.datasets import FaceSet
from edge_runtime.scoring.metrics import softmax


def calibration_faces(faces: FaceSet, n: int, seed: int) -> NDArray[np.uint8]:
    """Draw ``n`` faces uint8 (n, 48, 48), as many of each emotion as can be, in seeded order.

    Raise ``DataError`` if one is too rare.
    """
    random = np.random.default_rng(seed)
    share = -(-n // len(EMOTIONS))
    chosen = []
    for label, emotion in enumerate(EMOTIONS):
        index = np.flatnonzero(faces.labels == label)
        if len(index) < share:
            step = "calibrate on the Training split, or on fewer faces with --calibration"
            raise DataError(
                f"calibration faces of '{emotion}'", expected=f"at least {share}", got=str(len(index)), next_step=step
            )
        chosen.append(random.choice(index, share, replace=False))
    drawn: NDArray[np.uint8] = faces.images[random.permutation(np.concatenate(chosen))[:n]]
    return drawn


def fit_temperature(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """Return the temperature in [0.25, 4] under which ``labels`` (n,) are likeliest (Guo et al. 2017)."""

    def loss(log_temperature: float) -> float:
        likelihood = softmax(logits, float(np.exp(log_temperature)))[np.arange(len(labels)), labels]
        return float(-np.log(likelihood + 1e-12).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(4.0), np.log(4.0)), method="bounded").x))
