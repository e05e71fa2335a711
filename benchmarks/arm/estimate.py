"""A paper model of the two boards: instructions counted here, times that other people published, an honest range.

Nothing here has been measured on a board. Instructions are not cycles: the range is what two published anchors span.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.arm.gate import Record, name_of

ENVIRONMENT = "3.11"

YUNET_MS = {"pi4": 6.2, "pi5": 2.3}
"""YuNet at 160×120 on a Pi 4B, and on an RK3588 with the Pi 5's cores: OpenCV zoo's benchmark table."""

SSD_MS = {"pi4": 82.7, "pi5": 16.9}
"""SSD MobileNet v1 by TFLite, Pi 4 and Pi 5, published by a seller of boards."""

# 1.2 G multiply-additions; LiteRT's int8 kernels make 2.8 of them with an instruction on the Pi 4, and 9.0 with the dot
# products of the Pi 5 (a network of 37 M: 13.3 M and 4.09 M instructions, counted as here)
_SSD_INSTRUCTIONS = {"pi4": 1200e6 / 37 * 13.3, "pi5": 1200e6 / 37 * 4.09}
_SSD_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Milliseconds of one thread of a board: an estimate, not a measurement."""

    low_ms: float
    middle_ms: float
    high_ms: float

    def __str__(self) -> str:
        """Name the range, for people."""
        return f"{self.middle_ms:.1f} ms ({self.low_ms:.1f} to {self.high_ms:.1f})"


def estimate(record: Record, board: str, instructions: int) -> Estimate | None:
    """Estimate what ``instructions`` take on ``board``; None when ``record`` has no count of YuNet.

    Neither anchor says on how many threads it was measured. YuNet's is taken as one, which makes the board as fast as
    it can be, SSD's as four without loss, which makes it slow; the middle is the geometric mean of the two.
    """
    counted = record.counts.get(name_of(board, ENVIRONMENT, "anchor", "yunet"))
    if counted is None:
        return None
    rates = counted / YUNET_MS[board], _SSD_INSTRUCTIONS[board] / SSD_MS[board] / _SSD_THREADS
    low, high = instructions / max(rates), instructions / min(rates)
    return Estimate(low_ms=low, middle_ms=math.sqrt(low * high), high_ms=high)
