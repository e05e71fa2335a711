"""The Training faces whose activations say how wide int8 ranges must be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import DataError
from edge_runtime.scoring.datasets import FaceSet
from export.config import LEAST_FACES


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
            fewer = len(index) * len(EMOTIONS) // 8 * 8
            step = f"give --calibration {fewer}" if fewer >= LEAST_FACES else "add faces: each emotion needs ten"
            raise DataError(
                f"calibration faces of '{emotion}'", expected=f"at least {share}", got=str(len(index)), next_step=step
            )
        chosen.append(random.choice(index, share, replace=False))
    drawn: NDArray[np.uint8] = faces.images[random.permutation(np.concatenate(chosen))[:n]]
    return drawn
