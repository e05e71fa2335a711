"""A camera at its own pace, stood in for by the clip: does the recogniser keep up, what is dropped, how old is a frame.

Everything behind the camera is the program's own: the thread that reads it, the mailbox in which the newest frame wins.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count

from tqdm import tqdm

from benchmarks.clip import Clip
from benchmarks.clock import TURN
from benchmarks.session import Candidate, Measured, Session
from edge_runtime.recogniser import Recogniser
from edge_runtime.results import Frame
from edge_runtime.sources.base import Picture
from edge_runtime.sources.live import LiveSource


class PacedCamera:
    """Delivers the pictures of a clip, forwards and backwards, ``fps`` times a second.

    ``due_ns``: when the picture that was read last was due, on the monotonic clock.
    """

    def __init__(self, clip: Clip, fps: float) -> None:
        """Start the camera's clock."""
        self.fps, self._clip, self._numbers = fps, clip, count()
        self.due_ns = self._began_ns = time.monotonic_ns()

    def read(self) -> Picture:
        """Wait until the next picture is due, and return it."""
        number = next(self._numbers)
        self.due_ns = self._began_ns + round(number * 1e9 / self.fps)
        time.sleep(max(0, self.due_ns - time.monotonic_ns()) / 1e9)
        return Picture(image=self._clip.frame(number).image)

    def close(self) -> None:
        """Nothing is held."""


class PacedSource(LiveSource):
    """A live source whose frames age from the moment they were due, for a thread that wakes late makes none younger."""

    def __init__(self, clip: Clip, fps: float) -> None:
        """Start the camera and the thread that reads it."""
        self._camera, self._still = PacedCamera(clip, fps), clip.still
        super().__init__("paced", lambda: self._camera)

    def deliver(self, picture: Picture) -> None:
        """Put one picture into the mailbox; the thread that has just read it calls this."""
        self.mailbox.put(Frame(image=picture.image, index=0, captured_ns=self._camera.due_ns, still=self._still))


def paced(session: Session, rates: Sequence[float]) -> Iterator[Measured]:
    """Run each engine behind a camera of each rate, one after the other: two at once would take each other's time."""
    for fps in rates:
        samples: dict[str, dict[str, list[float]]] = {}
        figures = {}
        for candidate in session.engines:
            taken: list[float] = []
            ages: list[float] = []
            with session.survive(candidate.name, f"paced {fps:g}"):
                for ms, age_ms, given in _follow(session, candidate, fps):  # noqa: B007  (the last is used)
                    taken.append(ms)
                    ages.append(age_ms)
            if taken:
                samples[candidate.name] = {"": taken, "age": ages}
                figures[candidate.name] = {
                    "within_budget": sum(ms <= 1000 / fps for ms in taken) / given,
                    "dropped": 1 - len(taken) / given,
                }
        yield Measured(scenario="paced", case=f"{fps:g}", faces=0, samples=samples, figures=figures)


def _follow(session: Session, candidate: Candidate, fps: float) -> Iterator[tuple[float, float, int]]:
    """Yield of each frame what it took and how old it was then, in milliseconds, and how many the camera had given."""
    import cv2

    cv2.setNumThreads(candidate.threads)
    recogniser = Recogniser(candidate.classifier, session.detector)
    for number in range(TURN):  # warm-up
        recogniser.process(session.clip.frame(number))
    recogniser.reset()
    title = f"paced {fps:g}, {candidate.name}"
    frames = max(session.min_count, round(session.min_seconds * fps))
    with (
        tqdm(total=frames, desc=title, unit="frame", leave=False, disable=None) as progress,
        PacedSource(session.clip, fps) as source,
    ):
        began = time.monotonic()
        for n, frame in enumerate(source, 1):
            started_ns = time.perf_counter_ns()
            recogniser.process(frame)
            taken_ms = (time.perf_counter_ns() - started_ns) / 1e6
            yield taken_ms, (time.monotonic_ns() - frame.captured_ns) / 1e6, n + frame.dropped
            progress.update()
            if n >= session.min_count and time.monotonic() - began >= session.min_seconds:
                return
