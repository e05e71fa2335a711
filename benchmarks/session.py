"""What scenarios measure with: the candidates that are alive, the clip and its faces, the stop rule."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clip import Clip, Scene
from benchmarks.clock import Call, Turns, take_turns
from edge_runtime.emotions.classifier import EmotionClassifier
from edge_runtime.faces.detectors import ReducedDetector
from edge_runtime.options import require

NULL = "null"
"""The candidate that computes nothing: what remains is the cost of the program around an engine."""


def require_measurable(min_seconds: float, min_count: int, out: Path) -> None:
    """Refuse a stop rule that is none, and a report's name that leaves none for its page: raise ``UsageError``."""
    finite = 0 <= min_seconds < math.inf
    require("min_seconds", min_seconds, holds=finite, expected="at least 0")
    require("min_count", min_count, holds=min_count >= 1, expected="at least 1")
    require("out", out, holds=out.suffix == ".json", expected="a name that ends with .json")


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
    is the whole call. ``began_s``: candidate -> when each of its turns began; empty where none were taken, and there is
    no ratio. ``figures``: candidate -> what this scenario alone can say.
    """

    scenario: str
    case: str
    faces: int
    samples: dict[str, dict[str, list[float]]]
    began_s: dict[str, list[float]] = field(default_factory=dict)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, turns: Turns, scenario: str, case: str, faces: int, figures: dict[str, dict[str, float]] | None = None
    ) -> Measured:
        """Keep what took turns; who died before its first turn was whole has nothing to keep."""
        samples = {name: {"": taken} for name, taken in turns.samples.items() if taken}
        return cls(
            scenario=scenario,
            case=case,
            faces=faces,
            samples=samples,
            began_s={name: turns.began_s[name] for name in samples},
            figures=figures or {},
        )


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
        return Measured.of(self.turns(calls, label=f"{scenario} {case}".strip()), scenario, case, faces)

    def turns(
        self,
        calls: dict[str, Call],
        *,
        label: str,
        min_seconds: float | None = None,
        min_count: int | None = None,
        warm_up: bool = True,
    ) -> Turns:
        """Take turns by the session's stop rule, or another; what a candidate gave before it died is kept."""
        turns = take_turns(
            calls,
            min_seconds=self.min_seconds if min_seconds is None else min_seconds,
            min_count=min_count or self.min_count,
            label=label,
            warm_up=warm_up,
            by_count_alone=(NULL,),
            prepare=self._use_threads,
        )
        for name, error in turns.died.items():
            self.bury(name, error, label)
        return turns

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
        self.died[name] = " ".join(f"in {label}: {type(error).__name__}: {error}".split())
