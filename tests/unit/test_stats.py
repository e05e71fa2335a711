"""What a run adds up to."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.results import Face, Frame, FrameResult
from edge_runtime.stats import RunStats


def result(detect_ms: float, **faces: int) -> FrameResult:
    """Return a frame result; ``faces``: the emotion and track id of each."""
    return FrameResult(
        frame=Frame(image=np.zeros((4, 4, 3), np.uint8), index=0, captured_ns=0),
        faces=tuple(
            Face(
                track_id=track_id,
                box_xyxy=(0, 0, 1, 1),
                score=1.0,
                probabilities=np.eye(7, dtype=np.float32)[EMOTIONS.index(emotion)],
            )
            for emotion, track_id in faces.items()
        ),
        stage_ms={"detect": detect_ms, "align": 1.0},
    )


def test_a_run_without_frames_says_so() -> None:
    """A run that saw nothing says so instead of dividing by zero."""
    assert RunStats().summary() == "no frames"


def test_summary_adds_up_faces_emotions_and_times() -> None:
    """The summary counts faces, names each face's commonest emotion and gives the percentiles of each stage."""
    stats = RunStats()
    stats.add(result(1.0, happy=1, sad=2), output_ms=0.5)
    stats.add(result(2.0, happy=1), output_ms=0.5)
    stats.add(result(6.0, angry=1), output_ms=0.5)
    first, one, two, head, *rows = stats.summary().splitlines()
    assert first == "3 frames, 4 faces found, at most 2 in one frame"
    assert one == "  face 1: happy in 2 of its 3 frames"
    assert two == "  face 2: sad in 1 of its 1 frames"
    assert head.split() == ["ms/frame", "mean", "p50", "p90", "max"]
    figures = {name: [float(value) for value in values] for name, *values in map(str.split, rows)}
    assert list(figures) == ["detect", "align", "output", "total"]
    assert figures["detect"] == [3.0, 2.0, 5.2, 6.0]
    assert figures["total"] == [4.5, 3.5, 6.7, 7.5]


def test_a_face_is_counted_under_its_track() -> None:
    """Emotions are counted for each track, over all its frames."""
    stats = RunStats()
    for emotion in ("happy", "happy", "fear"):
        stats.add(result(1.0, **{emotion: 7}), output_ms=0.0)
    assert stats.emotions == {7: {"happy": 2, "fear": 1}}
    assert stats.faces_per_frame == [1, 1, 1]
    assert [row["detect"] for row in stats.stage_ms] == pytest.approx([1.0] * 3)


def test_a_frame_that_was_interrupted_does_not_spoil_the_summary() -> None:
    """Ctrl-C between the two lines that count a frame leaves a summary of the others."""
    stats = RunStats()
    stats.add(result(1.0, happy=1), output_ms=0.5)
    stats.stage_ms.append({"detect": 3.0, "align": 1.0, "output": 0.5})
    assert stats.summary().startswith("1 frames, 1 faces found")
