"""How often, and on how small a picture, faces are looked for: as asked, or as a budget of milliseconds allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

SHARES = (1.0, 0.8, 0.6, 0.5)
"""Widths of the picture that the detector reads, as shares of the widest, from the best to the cheapest."""

MAX_INTERVAL = 8
_MEMORY = 0.2


@dataclass(slots=True, kw_only=True)
class Pace:
    """Says when to detect and on what width, and learns from what that cost.

    Without a budget it is every ``interval`` frames at ``widest`` pixels on the longer side, and at once when the
    tracker is in doubt. With one, the interval is the smallest at which a frame's mean cost fits the budget, which
    doubt may not exceed, and only where 8 frames are not enough the picture shrinks.
    """

    interval: int = 3
    budget_ms: float | None = None
    widest: int = 320
    _step: int = 0
    _since: float = math.inf
    _detect_ms: float = 0.0
    _other_ms: float = 0.0

    @property
    def width(self) -> int:
        """Longer side in pixels of the picture to look for faces in."""
        return round(self.widest * SHARES[self._step])

    def at_once(self) -> None:
        """Make the next frame's turn come."""
        self._since = math.inf

    def due(self, *, doubt: bool) -> bool:
        """Tell, once a frame, whether to detect in it: its turn has come, or the tracker is in ``doubt``."""
        self._since += 1
        if (doubt and self.budget_ms is None) or self._since >= self.interval:
            self._since = 0
            return True
        return False

    def learn(self, detect_ms: float | None, other_ms: float) -> None:
        """Take what the frame cost: its detection (None: there was none) and the rest."""
        self._other_ms += _MEMORY * (other_ms - self._other_ms) if self._other_ms else other_ms
        if detect_ms is None:
            return
        self._detect_ms += _MEMORY * (detect_ms - self._detect_ms) if self._detect_ms else detect_ms
        if self.budget_ms is None:
            return
        left = self.budget_ms - self._other_ms
        needed = self._detect_ms / left if left > 0 else MAX_INTERVAL + 1
        self.interval = min(max(1, -int(-needed // 1)), MAX_INTERVAL)
        if needed > MAX_INTERVAL and self._step + 1 < len(SHARES):
            self._resize(self._step + 1)
        # room for the larger one, and to spare
        elif self._step and needed * self._cost(self._step - 1) < MAX_INTERVAL / 2:
            self._resize(self._step - 1)

    def _cost(self, step: int) -> float:
        """Cost of another width, as a share of this one's: it grows with the number of pixels."""
        return (SHARES[step] / SHARES[self._step]) ** 2

    def _resize(self, step: int) -> None:
        self._detect_ms *= self._cost(step)
        self._step = step
