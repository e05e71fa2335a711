"""Intervals of what was timed, and ratios of what was timed side by side."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.bootstrap import Timed, intervals, pair_ratio


def timed(samples: NDArray[np.float64], turn: int, seconds: float = 100.0, first: int = 0) -> Timed:
    """Return samples whose turns began evenly over so many seconds."""
    turns = len(samples) // turn
    return Timed(samples.tolist(), (np.arange(first, first + turns) * seconds / turns).tolist())


def test_an_interval_holds_the_true_median_although_calls_are_alike() -> None:
    """Calls whose speed drifts from turn to turn: of 60 runs at most 6 miss the median; taken one by one, most would.

    95 % would miss three.
    """
    random, missed, naive = np.random.default_rng(3), 0, 0
    for _ in range(60):
        samples = np.repeat(random.normal(10, 1, 25), 20) + random.normal(0, 0.1, 500)
        low, high = intervals(samples, {"p50_ms": 0.5}, 20)["p50_ms"]
        missed += not low <= 10 <= high
        low, high = np.quantile(np.median(random.choice(samples, (300, 500)), axis=1), (0.025, 0.975))
        naive += not low <= 10 <= high
    assert missed <= 6
    assert naive >= 20


@pytest.mark.parametrize("n", [210, 504])
def test_intervals_of_few_turns_hold_as_often_as_they_say(n: int) -> None:
    """Of 300 runs of independent calls 93 % at least hold the true mean and median: few turns make wider ones."""
    random, held = np.random.default_rng(5), {"mean_ms": 0, "p50_ms": 0}
    true = {"mean_ms": np.exp(0.045), "p50_ms": 1.0}
    for _ in range(300):
        found = intervals(random.lognormal(0, 0.3, n), {"p50_ms": 0.5}, 21)
        for name, value in true.items():
            held[name] += found[name][0] <= value <= found[name][1]
    assert min(held.values()) >= 0.93 * 300, held


def test_intervals_hold_their_figures_and_shrink_with_more_samples() -> None:
    """Each interval is around the figure itself, and a hundred times the samples make it much narrower."""
    random = np.random.default_rng(0)
    widths = []
    for n in (400, 40_000):
        samples = random.lognormal(0, 0.3, n)
        found = intervals(samples, {"p50_ms": 0.5, "p90_ms": 0.9}, 20)
        for name, value in (("mean_ms", samples.mean()), ("p50_ms", np.median(samples))):
            assert found[name][0] <= value <= found[name][1], name
        assert found["p50_ms"][1] < found["p90_ms"][0]
        widths.append(np.diff(found["p50_ms"]))
    assert widths[1] < widths[0] / 4


@pytest.mark.parametrize(("n", "given"), [(199, False), (200, True)])
def test_no_interval_of_too_few_turns(n: int, *, given: bool) -> None:
    """Below ten turns of twenty there is no interval and no ratio."""
    samples = np.random.default_rng(0).random(n // 20 * 20) + 1
    assert bool(intervals(samples, {"p50_ms": 0.5}, 20)) is given
    assert (pair_ratio(timed(samples, 20), timed(samples, 20), 20) is not None) is given


def test_a_ratio_is_of_what_ran_side_by_side() -> None:
    """Two candidates on a machine whose speed changes eightfold: the ratio is theirs, and the drift is not in it."""
    random = np.random.default_rng(1)
    drift = np.repeat(np.geomspace(1, 8, 30), 20)
    one, other = (factor * drift * random.normal(1, 0.01, 600) for factor in (1.5, 1.0))
    found = pair_ratio(timed(one, 20), timed(other, 20), 20)
    assert found is not None
    ratio, low, high = found
    assert 1.48 < low <= ratio <= high < 1.52
    assert pair_ratio(timed(one, 20), Timed([], []), 20) is None


def test_each_of_few_turns_has_another_beside_it() -> None:
    """Ten turns each, of which two of the one come nearest to the same of the other: there are ten pairs still."""
    random = np.random.default_rng(1)
    one, other = (np.repeat(factor, 200) * random.normal(1, 0.01, 200) for factor in (1.5, 1.0))
    began_s = np.arange(10.0)
    shifted = began_s + np.tile([0.0, -0.6], 5)
    found = pair_ratio(Timed(one.tolist(), began_s.tolist()), Timed(other.tolist(), shifted.tolist()), 20)
    assert found is not None
    assert found[0] == pytest.approx(1.5, rel=0.02)


def test_a_ratio_of_many_turns_beside_few() -> None:
    """On the same machine one has 300 turns where the other has 30, or died after twelve: the ratio is the same."""
    random = np.random.default_rng(1)
    many = np.repeat(np.geomspace(1, 8, 300), 20) * random.normal(1.5, 0.01, 6000)
    few = np.repeat(np.geomspace(1, 8, 30), 20) * random.normal(1, 0.01, 600)
    for own, other, expected in (
        (timed(many, 20), timed(few, 20), 1.5),
        (timed(few, 20), timed(many, 20), 1 / 1.5),
        (timed(many, 20), timed(few[:240], 20, 40.0), 1.5),
    ):  # the third died after twelve turns
        found = pair_ratio(own, other, 20)
        assert found is not None
        assert found[0] == pytest.approx(expected, rel=0.1)
        assert found[1] < expected < found[2] or found[0] == pytest.approx(expected, rel=0.04)


def test_a_ratio_sees_what_every_third_call_costs() -> None:
    """Frames of 3 ms of which every third takes 9 or 27 more: medians are alike, means are 6 and 12."""
    random = np.random.default_rng(2)
    one, other = ((3 + np.tile([more, 0, 0], 210)) * random.normal(1, 0.01, 630) for more in (27.0, 9.0))
    found = pair_ratio(timed(one, 21), timed(other, 21), 21)
    assert found is not None
    ratio, low, high = found
    assert 1.97 < low <= ratio <= high < 2.03


def test_an_interval_of_the_tail_holds_with_many_calls_too() -> None:
    """Of a hundred thousand calls the 99th percentile is known to a thousandth: 40 runs, of which two would miss it."""
    random, held = np.random.default_rng(7), 0
    for _ in range(40):
        low, high = intervals(random.random(100_000), {"p99_ms": 0.99}, 20)["p99_ms"]
        held += low <= 0.99 <= high
    assert held >= 34


def test_ratios_of_a_long_run_take_no_more_memory_than_its_turns() -> None:
    """Ten minutes of calls of 0.4 ms are sixty thousand turns: every pair of them would be 29 gigabytes."""
    calls = np.random.default_rng(0).random(20_000 * 2) + 1
    tracemalloc.start()
    found = pair_ratio(timed(calls, 2), timed(calls * 2, 2), 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == (0.5, 0.5, 0.5)
    assert peak < 20e6
