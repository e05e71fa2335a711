"""A backend that computes nothing: what remains is the cost of the program around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS


class NullBackend:
    """Answers zeros at once."""

    name = "null"
    version = "0"

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return zeros float32 (n, 7)."""
        return np.zeros((len(batch), len(EMOTIONS)), np.float32)

    def close(self) -> None:
        """Nothing is held."""
