"""What a run adds up to."""

from __future__ import annotations

import re

import numpy as np
import pytest

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.results import DetectionReport, Face, Frame, FrameResult
from edge_runtime.stats import RunStats, Times


def result(detect_ms: float, *, dropped: int = 0, ran: bool = True, still: bool = False, **faces: int) -> FrameResult:
    """Return a frame result; ``faces``: the emotion and track id of each."""
    return FrameResult(
        frame=Frame(image=np.zeros((4, 4, 3), np.uint8), index=0, captured_ns=0, dropped=dropped, still=still),
        faces=tuple(
            Face(
                track_id=track_id,
                box_xyxy=(0, 0, 1, 1),
                score=1.0,
                probabilities=np.eye(7, dtype=np.float32)[EMOTIONS.index(emotion)],
                emotion=emotion,
            )
            for emotion, track_id in faces.items()
        ),
        stage_ms={"detect": detect_ms, "align": 1.0},
        detection=DetectionReport(ran=ran, every=1, width=320),
    )


def test_a_run_without_frames_says_so() -> None:
    """A run that saw nothing says so instead of dividing by zero."""
    assert RunStats().summary() == "no frames"


def test_summary_adds_up_faces_emotions_and_times() -> None:
    """The summary counts faces, names each face's commonest emotion and gives the percentiles of each stage."""
    stats = RunStats()
    stats.add(result(1.0, happy=1, sad=2), output_ms=0.5)
    stats.add(result(2.0, ran=False, happy=1), output_ms=0.5)
    stats.add(result(6.0, dropped=4, angry=1), output_ms=0.5, age_ms=40)
    first, second, one, two, head, *rows, last = stats.summary().splitlines()
    assert first == "3 frames, 4 faces found, at most 2 in one frame"
    assert second == "2 detections, 4 frames dropped"
    assert one == "  face 1: happy in 2 of its 3 frames"
    assert two == "  face 2: sad in 1 of its 1 frames"
    assert head.split() == ["ms/frame", "mean", "p50", "p90", "p99", "max"]
    assert re.fullmatch(
        r"first result \d+\.\d\d s after the start, at most \d+ MB of memory, \d+ of them libraries", last
    )
    figures = {name: [float(value) for value in values] for name, *values in map(str.split, rows)}
    assert list(figures) == ["detect", "align", "output", "total", "age"]
    assert figures["detect"] == pytest.approx([3.0, 2.0, 6.0, 6.0, 6.0], rel=0.012)
    assert figures["total"] == pytest.approx([4.5, 3.5, 7.5, 7.5, 7.5], rel=0.012)


def test_pictures_have_people_of_their_own() -> None:
    """The first face of one is not the first face of the next: emotions alone are counted."""
    stats = RunStats()
    for emotion in ("happy", "sad", "happy"):
        stats.add(result(1.0, still=True, **{emotion: 1}), output_ms=0.5)
    assert stats.summary().splitlines()[2] == "  happy 2, sad 1"
    assert "face 1" not in stats.summary()


def test_a_run_of_weeks_takes_no_more_memory() -> None:
    """Times are counted, not kept, and emotions of the first twenty tracks alone."""
    stats = RunStats()
    for track in range(1, 200):
        stats.add(result(1.0, happy=track), output_ms=0.0)
    assert len(stats.emotions) == 20
    assert "… and more, up to face 199" in stats.summary()
    assert sum(counts.total() for counts in stats.emotions.values()) == 20


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_percentiles_are_those_of_numpy_to_a_bin(scale: float) -> None:
    """Over random times each percentile is within 1.2 % of the exact one; mean and maximum are exact."""
    values = np.random.default_rng(1).lognormal(0, 1, 5_000) * scale
    times = Times()
    for value in values:
        times.add(float(value))
    for share in (0.5, 0.9, 0.99):
        assert times.percentile_ms(share) == pytest.approx(np.quantile(values, share, method="inverted_cdf"), rel=0.012)
    assert times.mean_ms == pytest.approx(values.mean())
    assert times.max_ms == values.max()


def test_times_beyond_the_scale_are_counted() -> None:
    """Nothing at all, and minutes, go into the outermost bins."""
    times = Times()
    times.add(0.0)
    times.add(1e9)
    assert times.percentile_ms(0.5) == pytest.approx(1e-3, rel=0.02)
    assert times.max_ms == 1e9
