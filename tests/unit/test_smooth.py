"""Emotions that do not flicker, and still change when the face does; detection within a budget."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.emotions.smooth import Smoother
from edge_runtime.pace import MAX_INTERVAL, Pace

S = 1_000_000_000


def towards(emotion: int, share: float) -> NDArray[np.float32]:
    """Return probabilities that give ``share`` to one emotion and split the rest."""
    probabilities = np.full(7, (1 - share) / 6, np.float32)
    probabilities[emotion] = share
    return probabilities


@pytest.mark.parametrize("fps", [5, 10, 30, 60])
def test_a_real_change_is_shown_within_half_a_second_at_any_rate(fps: int) -> None:
    """The label follows a change of expression within 0.5 s, whether frames are many or few."""
    smoother, now_ns = Smoother(), 0
    for _ in range(2 * fps):
        now_ns += S // fps
        _, label = smoother.update(1, towards(3, 0.8), now_ns)
    assert label == 3
    changed_ns = now_ns
    while label == 3:
        now_ns += S // fps
        _, label = smoother.update(1, towards(4, 0.7), now_ns)
    assert label == 4
    assert (now_ns - changed_ns) / S <= 0.5


def test_a_face_that_hovers_between_two_emotions_keeps_its_label() -> None:
    """A minute of noise around equal probabilities: the raw answer changes hundreds of times, the shown one twice."""
    random, smoother = np.random.default_rng(0), Smoother()
    raw, shown = [], []
    for frame in range(1, 1_801):
        logits = np.array([0, 0, 0, 0, 2.0, 0, 2.0]) + random.normal(0, 0.35, 7)
        probabilities = (np.exp(logits) / np.exp(logits).sum()).astype(np.float32)
        raw.append(int(probabilities.argmax()))
        shown.append(smoother.update(1, probabilities, frame * S // 30)[1])
    assert np.count_nonzero(np.diff(raw)) > 300
    assert np.count_nonzero(np.diff(shown)) <= 2


def test_smoothed_values_are_probabilities_and_tracks_are_apart() -> None:
    """They sum to one, lie between old and new, and another track starts with its own."""
    smoother = Smoother()
    first, _ = smoother.update(1, towards(0, 0.9), S)
    np.testing.assert_array_equal(first, towards(0, 0.9))
    second, _ = smoother.update(1, towards(5, 0.9), S + S // 10)
    assert second.sum() == pytest.approx(1)
    assert towards(0, 0.9)[5] < second[5] < 0.9
    other, label = smoother.update(2, towards(2, 0.6), S + S // 10)
    np.testing.assert_array_equal(other, towards(2, 0.6))
    assert label == 2


def test_what_has_not_been_seen_for_long_is_forgotten() -> None:
    """Memory does not grow with the faces that have passed, and a clock that stands still or goes back does no harm."""
    smoother = Smoother()
    for track in range(100):
        smoother.update(track, towards(1, 0.5), track * S)
        smoother.forget(track * S)
    assert len(smoother._states) <= 3
    kept, _ = smoother.update(99, towards(2, 0.5), 0)
    np.testing.assert_array_equal(kept, towards(1, 0.5))


def test_without_a_budget_detection_comes_every_so_many_frames_and_when_in_doubt() -> None:
    """The first frame is due, then each third; doubt is due at once, and the count begins anew."""
    pace = Pace(interval=3)
    assert [pace.due(doubt=False) for _ in range(7)] == [True, False, False, True, False, False, True]
    assert pace.due(doubt=True)
    assert [pace.due(doubt=False) for _ in range(3)] == [False, False, True]


def test_the_first_frame_is_looked_at_whatever_the_interval() -> None:
    """Also where the interval is longer than any that a budget would choose."""
    pace = Pace(interval=30)
    assert [pace.due(doubt=False) for _ in range(31)] == [True, *[False] * 29, True]


def test_doubt_does_not_exceed_a_budget() -> None:
    """Where the tracker doubts in every frame, detection still comes as often as the budget allows and no oftener."""
    pace, ran = Pace(interval=3, budget_ms=7.0), 0
    for _ in range(100):
        detect = pace.due(doubt=True)
        pace.learn(20.0 if detect else None, 2.0)
        ran += detect
    assert pace.interval == 4
    assert ran <= 27


@pytest.mark.parametrize(
    ("budget_ms", "interval", "width"),
    [(30, 1, 320), (12, 2, 320), (8, 4, 320), (4.5, 8, 320), (3.2, 6, 192), (1, MAX_INTERVAL, 160)],
)
def test_a_budget_decides_interval_and_width(budget_ms: float, interval: int, width: int) -> None:
    """With a detector of 20 ms at 320 pixels and 2 ms of the rest, the mean frame fits where that is possible."""
    pace = Pace(interval=3, budget_ms=budget_ms)
    taken = []
    for _ in range(300):
        detect_ms = 20 * (pace.width / 320) ** 2 if pace.due(doubt=False) else None
        pace.learn(detect_ms, 2.0)
        taken.append((detect_ms or 0) + 2.0)
    assert (pace.interval, pace.width) == (interval, width)
    if budget_ms >= 3.2:
        assert np.mean(taken[100:]) <= budget_ms * 1.01


def test_a_budget_gives_back_what_it_took() -> None:
    """When the machine becomes fast again, width and interval return."""
    pace = Pace(interval=3, budget_ms=4.0)
    for cost in (40.0, 2.0):
        for _ in range(400):
            pace.learn(cost * (pace.width / 320) ** 2 if pace.due(doubt=False) else None, 1.0)
    assert (pace.interval, pace.width) == (1, 320)


def test_a_budget_shrinks_from_the_width_that_was_asked_for() -> None:
    """Asked for 640 pixels, a budget that cannot hold takes half of them at the least."""
    pace = Pace(budget_ms=1.0, widest=640)
    assert pace.width == 640
    for _ in range(200):
        pace.learn(20.0 if pace.due(doubt=False) else None, 2.0)
    assert pace.width == 320
