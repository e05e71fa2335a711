"""Temperature scaling (Guo et al. 2017): one number that makes confidences mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.scoring.metrics import softmax

LIMITS = (0.25, 4.0)


def fit_temperature(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """Return the temperature in ``LIMITS`` under which ``labels`` (n,) are likeliest given ``logits`` (n, 7).

    The negative log likelihood is convex in the inverse temperature, so bisecting its slope finds the minimum.
    """
    low, high = 1 / LIMITS[1], 1 / LIMITS[0]
    right = logits[np.arange(len(labels)), labels]
    for _ in range(40):
        middle = (low + high) / 2
        expected = (softmax(logits, 1 / middle) * logits).sum(axis=1)
        if (expected - right).mean() > 0:  # the slope: sharper answers would cost likelihood
            high = middle
        else:
            low = middle
    return 2 / (low + high)


def cross_fitted(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (n, 7), each half of the faces scaled by the temperature fitted on the other half.

    So the calibration error measured on them is that of faces which the temperature has not seen.
    """
    scaled = np.empty_like(logits)
    for half in (slice(0, None, 2), slice(1, None, 2)):
        other = slice(1 - half.start, None, 2)
        scaled[half] = softmax(logits[half], fit_temperature(labels[other], logits[other]))
    return scaled
