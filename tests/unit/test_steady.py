"""Whole frames without a pause: the slices of a run, what they are called, and who dies in one of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import scenarios
from benchmarks.bench import BenchOptions
from benchmarks.clip import Clip
from benchmarks.clock import TURN, Turns
from benchmarks.session import NULL, Candidate, Session
from edge_runtime.emotions.backends.null import NullBackend
from edge_runtime.emotions.classifier import SHIPPED, EmotionClassifier
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import UsageError
from edge_runtime.faces.detectors import ReducedDetector
from edge_runtime.recogniser import STAGES
from edge_runtime.results import NO_DETECTIONS, Detections


class Finds:
    """A detector that finds nothing, and breaks after ``left`` pictures."""

    name = "finds nothing"

    def __init__(self, left: int = 10**9) -> None:
        """Keep how long it lasts."""
        self.left = left

    def detect(self, _image: np.ndarray) -> Detections:
        """Find nothing."""
        self.left -= 1
        if self.left < 0:
            message = "worn out"
            raise RuntimeError(message)
        return NO_DETECTIONS


def session(kind: type[Session] = Session, detector: Finds | None = None) -> Any:
    """Return a session of a null backend under two other names, and of the null backend itself."""
    card = read_card(SHIPPED / "student")
    classifier = EmotionClassifier(card, card.artefacts[0], NullBackend())
    names = ("onnx int8", "tflite int8", NULL)
    return kind(
        candidates={
            name: Candidate(name=name, classifier=classifier, threads=threads)
            for name, threads in zip(names, (1, 2, 1), strict=True)
        },
        clip=Clip(images=(np.zeros((24, 32, 3), np.uint8),), fps=30.0, still=False),
        scenes=[],
        crops=np.zeros((1, 48, 48), np.uint8),
        detector=ReducedDetector(detector=detector or Finds(), detect_width=320),
        min_seconds=0.0,
        min_count=20,
    )


class Noted(Session):
    """A session that measures nothing and notes what it was asked for, as long as its clock says that it takes."""

    now_s = 0.0
    least_turn_s = 0.0

    def turns(self, calls: Any, **asked: Any) -> Turns:
        """Note the seconds of each call, and whether it was warmed up, and let them pass."""
        self.died[asked["label"]] = f"{asked['min_seconds']} {asked['warm_up']}"
        Noted.now_s += len(calls) * max(asked["min_seconds"], self.least_turn_s)
        return Turns(samples={name: [1.0] for name in calls}, began_s={name: [Noted.now_s] for name in calls}, died={})


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    """Return such a session, whose clock is the scenario's."""
    monkeypatch.setattr(Noted, "now_s", 0.0)
    monkeypatch.setattr(scenarios, "time", SimpleNamespace(monotonic=lambda: Noted.now_s))
    made: Noted = session(Noted)
    return made


@pytest.mark.parametrize("seconds", [2.0, 2.4, 3.0, 44.0, 59.0, 61.0, 90.0, 600.0, 7200.0])
def test_each_slice_has_a_name_of_its_own(noted: Noted, seconds: float) -> None:
    """Two slices at least, of half a minute in a long run, that fill the time; the first is warmed up."""
    cases = [measured.case for measured in scenarios.steady(noted, seconds)]
    assert len(cases) == len(set(cases)) == max(2, round(seconds / scenarios.SLICE_S))
    assert cases[0] == "0:00"
    asked = [said.split() for said in noted.died.values()]
    assert abs(sum(2 * float(each) for each, _ in asked) - seconds) <= scenarios.SLICE_S / 2
    assert [warm for _, warm in asked] == ["True"] + ["False"] * (len(cases) - 1)


def test_slow_candidates_make_the_slices_longer_and_not_the_run(noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a turn of both takes 50 s, ten minutes hold twelve slices, each called by when it began."""
    monkeypatch.setattr(Noted, "least_turn_s", 25.0)
    cases = [measured.case for measured in scenarios.steady(noted, 600.0)]
    assert cases == [f"{50 * k // 60}:{50 * k % 60:02d}" for k in range(12)]


def test_slices_follow_each_other() -> None:
    """Two of a second each: every candidate but the null backend in both, for its half of the time."""
    first, second = scenarios.steady(session(), scenarios.LEAST_S)
    assert first.case == "0:00" < second.case
    for measured in (first, second):
        assert list(measured.samples) == ["onnx int8", "tflite int8"]
        for stages in measured.samples.values():
            assert len(stages[""]) >= TURN
            assert sum(stages[""]) >= 0.5 * 1e3 * 0.5  # an eighth of the calls is not timed


def test_who_dies_in_a_slice_is_not_in_the_next() -> None:
    """A detector that breaks takes both candidates with it: no slice follows, and it is said."""
    dying = session(detector=Finds(60))
    (first,) = scenarios.steady(dying, 2.0)
    assert dying.died.keys() == {"onnx int8", "tflite int8"}
    assert "worn out" in dying.died["onnx int8"]
    assert len(first.samples["onnx int8"][""]) >= TURN  # what it gave before is kept


def test_the_video_runs_on_through_warm_up_turns_and_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the frames that a recogniser sees goes on frame by frame and never back."""
    seen: dict[int, list[int]] = {}
    process = scenarios.Recogniser.process

    def noting(self: Any, frame: Any) -> Any:
        seen.setdefault(id(self), []).append(frame.captured_ns)
        return process(self, frame)

    monkeypatch.setattr(scenarios.Recogniser, "process", noting)
    running = session()
    list(scenarios.steady(running, 2.0))
    assert len(seen) == 2
    for captured_ns in seen.values():
        assert len(captured_ns) > 3 * TURN
        assert captured_ns == [running.clip.frame(number).captured_ns for number in range(len(captured_ns))]


def test_opencv_s_threads_change_with_the_turn_and_not_in_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each candidate's frames run on its own number of threads, which are set once a turn."""
    calls: list[int] = []
    monkeypatch.setattr(cv2, "setNumThreads", calls.append)
    (measured,) = scenarios.frame(session())
    assert calls == [1, 2, 1] * 2
    assert {len(taken[""]) for taken in measured.samples.values()} == {TURN}
    assert {len(taken[stage]) for taken in measured.samples.values() for stage in STAGES} == {TURN}


@pytest.mark.parametrize("duration", ["1s", "1.9s", "0.01m", "10", "m"])
def test_a_duration_below_two_seconds_is_refused(duration: str) -> None:
    """Its slices would share a name; so is what is no duration."""
    with pytest.raises(UsageError, match="--duration is out of range: expected at least 2s"):
        BenchOptions(source="x", duration=duration)
