"""Emotions that do not flicker: probabilities averaged over time, a shown label that changes when it must."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TIME_CONSTANT_S = 0.3
MARGIN = 0.15
_FORGOTTEN_NS = 2_000_000_000


@dataclass(slots=True)
class _State:
    probabilities: NDArray[np.float32]
    label: int
    seen_ns: int


class Smoother:
    """Averages each track's probabilities with a time constant of 0.3 s, by the frames' clock and not by their number.

    The label shown is the one before until another is more probable by 0.15. So a face whose expression changes is
    shown with the new emotion after about 0.3 s, at any frame rate, and one that hovers between two keeps its label.
    """

    def __init__(self) -> None:
        """Start with no tracks."""
        self._states: dict[int, _State] = {}

    def update(self, track_id: int, probabilities: NDArray[np.float32], now_ns: int) -> tuple[NDArray[np.float32], int]:
        """Take a track's probabilities float32 (7,) at ``now_ns``; return the smoothed ones and the label to show."""
        state = self._states.get(track_id)
        if state is None:
            state = self._states[track_id] = _State(probabilities, int(probabilities.argmax()), now_ns)
        else:
            elapsed_s = max(now_ns - state.seen_ns, 0) / 1e9
            share = np.float32(1 - math.exp(-elapsed_s / TIME_CONSTANT_S))
            state.probabilities = state.probabilities + share * (probabilities - state.probabilities)
            state.seen_ns = now_ns
            best = int(state.probabilities.argmax())
            if state.probabilities[best] > state.probabilities[state.label] + MARGIN:
                state.label = best
        return state.probabilities, state.label

    def forget(self, now_ns: int) -> None:
        """Drop what has not been seen for 2 s: its track is dead, and ids are never used twice."""
        self._states = {
            track: state for track, state in self._states.items() if now_ns - state.seen_ns <= _FORGOTTEN_NS
        }
