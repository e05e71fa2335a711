"""Grey faces to the float batch that every model reads; the one implementation of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Mean and standard deviation of all pixels of FER2013's Training split, on [0, 1]:
# read_faces(path, "Training").images / 255.
MEAN, STD = 0.5078, 0.2549


def normalise(faces: NDArray[np.uint8], mean: float = MEAN, std: float = STD) -> NDArray[np.float32]:
    """Turn faces uint8 (n, 48, 48) into float32 (n, 1, 48, 48): ``(pixel / 255 - mean) / std``."""
    # one multiplication and one addition in place: x/(255·std) - mean/std
    batch = faces[:, None].astype(np.float32)
    batch *= np.float32(1 / (255 * std))
    batch -= np.float32(mean / std)
    return batch
