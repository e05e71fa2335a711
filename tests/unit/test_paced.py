"""A camera at its own pace: who keeps up drops nothing, who does not drops frames and shows the newest one."""

from __future__ import annotations

import dataclasses
import time
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import paced as module
from benchmarks.clip import Clip
from benchmarks.paced import PacedCamera, PacedSource, paced
from benchmarks.session import NULL, Candidate, Session
from edge_runtime.emotions.backends.null import NullBackend
from edge_runtime.emotions.classifier import SHIPPED, EmotionClassifier
from edge_runtime.emotions.contract import read_card
from edge_runtime.faces.detectors import ReducedDetector
from edge_runtime.results import NO_DETECTIONS, Detections

CLIP = Clip(images=tuple(np.full((24, 32, 3), k, np.uint8) for k in range(5)), fps=30.0, still=False)


class SlowDetector:
    """Finds nothing, and takes its time for it; breaks when it has done so ``lasts`` times."""

    name = "slow"

    def __init__(self, seconds: float, lasts: int = 10**9) -> None:
        """Keep how long a picture takes."""
        self.seconds, self.left = seconds, lasts

    def detect(self, _image: np.ndarray) -> Detections:
        """Sleep, and find nothing."""
        self.left -= 1
        if not self.left:
            message = "worn out"
            raise RuntimeError(message)
        time.sleep(self.seconds)
        return NO_DETECTIONS


def session(detector: SlowDetector) -> Session:
    """Return a session of a null backend under another name, and of the null backend itself."""
    card = read_card(SHIPPED / "student")
    classifier = EmotionClassifier(card, card.artefacts[0], NullBackend())
    return Session(
        candidates={name: Candidate(name=name, classifier=classifier, threads=1) for name in ("onnx int8", NULL)},
        clip=CLIP,
        scenes=[],
        crops=np.zeros((1, 48, 48), np.uint8),
        detector=ReducedDetector(detector=detector, detect_width=320),
        min_seconds=0.0,
        min_count=20,
    )


def test_the_camera_keeps_its_pace() -> None:
    """Picture k comes no earlier than k frame times after the first, and the clip goes forwards and backwards."""
    camera = PacedCamera(CLIP, 100.0)
    began, numbers = time.monotonic(), []
    for number in range(10):
        numbers.append(int(camera.read().image[0, 0, 0]))
        assert time.monotonic() >= began + number / 100 - 1e-3
    assert numbers == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1]


@pytest.mark.parametrize("still", [False, True])
def test_pictures_for_themselves_are_no_video(*, still: bool) -> None:
    """Of unrelated pictures each frame says so, and faces are looked for in it, as in the scenario frame."""
    clip = dataclasses.replace(CLIP, still=still)
    with PacedSource(clip, 200.0) as source:
        assert [frame.still for frame in islice(source, 3)] == [still] * 3


def test_who_is_too_slow_drops_frames_and_shows_none_that_waited() -> None:
    """Sixty milliseconds in every third frame at 50 a second: frames are dropped and over budget; the null waits."""
    (measured,) = paced(session(SlowDetector(0.06)), [50.0])
    assert (measured.scenario, measured.case) == ("paced", "50")
    assert list(measured.samples) == ["onnx int8"]
    samples, figures = measured.samples["onnx int8"], measured.figures["onnx int8"]
    assert len(samples[""]) == len(samples["age"]) == 20
    assert all(age >= taken * 0.99 for age, taken in zip(samples["age"], samples[""], strict=True))
    assert figures["dropped"] > 0.2
    given = 20 / (1 - figures["dropped"])
    assert given == pytest.approx(round(given))
    assert figures["within_budget"] == pytest.approx(sum(ms <= 20 for ms in samples[""]) / given)
    assert 0 < figures["within_budget"] <= 14 / 20 * 0.8


def test_a_reader_that_wakes_late_makes_no_frame_younger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that oversleeps by 30 milliseconds, with a camera of 20 frames a second: they age from when due."""
    late = SimpleNamespace(monotonic_ns=time.monotonic_ns, sleep=lambda seconds: time.sleep(seconds + 0.03))
    monkeypatch.setattr(module, "time", late)
    with PacedSource(CLIP, 20.0) as source:
        frames = [(frame, time.monotonic_ns() - frame.captured_ns) for frame, _ in zip(source, range(4), strict=False)]
    assert all(age_ns >= 30e6 for _, age_ns in frames)
    assert {(frame.captured_ns - frames[0][0].captured_ns) % 50_000_000 for frame, _ in frames} == {0}


def test_who_dies_is_buried_and_the_others_go_on() -> None:
    """What it gave before it broke is kept, and what it died of; at the next rate it is not tried again."""
    dying = session(SlowDetector(0.0, lasts=10))
    first, second = paced(dying, [100.0, 50.0])
    samples = first.samples["onnx int8"]
    assert 3 <= len(samples[""]) == len(samples["age"]) < 20
    assert first.figures.keys() == {"onnx int8"}
    assert second.samples == second.figures == {}
    assert dying.died == {"onnx int8": "in paced 100: RuntimeError: worn out"}
    assert list(dying.candidates) == [NULL]
    with pytest.raises(KeyError):
        dying.candidates["onnx int8"]
