"""A camera at its own pace, stood in for by the clip: does the recogniser keep up, what is dropped, how old is a frame.

Everything behind the camera is the program's own: the thread that reads it, the mailbox in which the newest frame wins.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count

from benchmarks.clip import Clip
from benchmarks.clock import TURN
from benchmarks.session import Candidate, Measured, Session
from edge_runtime.recogniser import Recogniser
from edge_runtime.sources.base import Picture
from edge_runtime.sources.live import LiveSource


class PacedCamera:
    """Delivers the pictures of a clip, forwards and backwards, ``fps`` times a second."""

    def __init__(self, clip: Clip, fps: float) -> None:
        """Start the camera's clock."""
        self.fps, self._clip, self._numbers, self._began_s = fps, clip, count(), time.monotonic()

    def read(self) -> Picture:
        """Wait until the next picture is due, and return it."""
        number = next(self._numbers)
        time.sleep(max(0.0, self._began_s + number / self.fps - time.monotonic()))
        return Picture(image=self._clip.frame(number).image)

    def close(self) -> None:
        """Nothing is held."""


def paced(session: Session, rates: Sequence[float]) -> Iterator[Measured]:
    """Run each engine behind a camera of each rate, one after the other: two at once would take each other's time."""
    for fps in rates:
        samples: dict[str, dict[str, list[float]]] = {}
        figures = {}
        for candidate in session.engines:
            with session.survive(candidate.name, f"paced {fps:g}"):
                samples[candidate.name], dropped = _follow(session, candidate, fps)
                taken = samples[candidate.name][""]
                figures[candidate.name] = {
                    "within_budget": sum(ms <= 1000 / fps for ms in taken) / len(taken),
                    "dropped": dropped / (dropped + len(taken)),
                }
        yield Measured(scenario="paced", case=f"{fps:g}", faces=0, samples=samples, figures=figures)


def _follow(session: Session, candidate: Candidate, fps: float) -> tuple[dict[str, list[float]], int]:
    """Return what each frame took and how old it was afterwards, both in milliseconds, and how many were dropped."""
    import cv2

    cv2.setNumThreads(candidate.threads)
    recogniser = Recogniser(candidate.classifier, session.detector)
    for number in range(TURN):  # warm-up
        recogniser.process(session.clip.frame(number))
    recogniser.reset()
    taken: list[float] = []
    ages: list[float] = []
    with LiveSource("paced", lambda: PacedCamera(session.clip, fps)) as source:
        began = time.monotonic()
        for frame in source:
            started_ns = time.perf_counter_ns()
            recogniser.process(frame)
            taken.append((time.perf_counter_ns() - started_ns) / 1e6)
            ages.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
            if len(taken) >= session.min_count and time.monotonic() - began >= session.min_seconds:
                break
    return {"": taken, "age": ages}, frame.dropped
