"""What scenarios measure with: the candidates that are alive, the clip and its faces, the stop rule."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.clip import Clip, Scene
from benchmarks.clock import Call, take_turns
from edge_runtime.emotions.classifier import EmotionClassifier
from edge_runtime.faces.detectors import ReducedDetector

NULL = "null"
"""The candidate that computes nothing: what remains is the cost of the program around an engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One loaded artefact on so many threads."""

    name: str
    classifier: EmotionClassifier
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Samples of one case of a scenario.

    ``faces``: in each call; 0 where that varies. ``samples``: candidate -> stage -> milliseconds of each call; stage ""
    is the whole call. ``figures``: candidate -> what this scenario alone can say.
    """

    scenario: str
    case: str
    faces: int
    samples: dict[str, dict[str, list[float]]]
    figures: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Session:
    """One run of the benchmark. ``died``: candidates that raised an error, and what; they are measured no more."""

    candidates: dict[str, Candidate]
    clip: Clip
    scenes: list[Scene]
    crops: NDArray[np.uint8]
    detector: ReducedDetector
    min_seconds: float
    min_count: int
    died: dict[str, str] = field(default_factory=dict)

    @property
    def engines(self) -> list[Candidate]:
        """All living candidates but the null backend."""
        return [candidate for name, candidate in self.candidates.items() if name != NULL]

    def measure(self, scenario: str, case: str, faces: int, make: Callable[[Candidate], Call]) -> Measured:
        """Time what ``make`` makes of each candidate, in turns."""
        calls = {name: make(candidate) for name, candidate in self.candidates.items()}
        samples = self.turns(calls, label=f"{scenario} {case}".strip())
        return Measured(
            scenario=scenario, case=case, faces=faces, samples={name: {"": taken} for name, taken in samples.items()}
        )

    def turns(
        self,
        calls: dict[str, Call],
        *,
        label: str,
        min_seconds: float | None = None,
        min_count: int | None = None,
        warm_up: bool = True,
    ) -> dict[str, list[float]]:
        """Take turns by the session's stop rule, or another; what a candidate gave before it died is kept."""
        turns = take_turns(
            calls,
            min_seconds=self.min_seconds if min_seconds is None else min_seconds,
            min_count=min_count or self.min_count,
            label=label,
            warm_up=warm_up,
            prepare=self._use_threads,
        )
        for name, error in turns.died.items():
            self.bury(name, error, label)
        return {name: taken for name, taken in turns.samples.items() if taken}

    def _use_threads(self, name: str) -> None:
        """OpenCV's threads belong to the process; where candidates differ, they change with the turn."""
        import cv2

        if name in self.candidates:
            cv2.setNumThreads(self.candidates[name].threads)

    @contextlib.contextmanager
    def survive(self, name: str, label: str) -> Iterator[None]:
        """Let the session go on without candidate ``name`` if it raises an error inside."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  (an engine may raise anything)
            self.bury(name, error, label)

    def bury(self, name: str, error: Exception, label: str) -> None:
        """Take a candidate out, and keep what it died of."""
        self.candidates.pop(name, None)  # whole pipelines take turns that are no candidates
        self.died[name] = f"in {label}: {type(error).__name__}: {error}"
