"""The harness's clock: stop rule, percentiles, turns."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.clock import Latency, interleave, take_turns
from edge_runtime.errors import UsageError


def test_percentiles_are_numpy_s_and_nothing_is_removed() -> None:
    """A single late call of a thousand is the maximum, and is in the mean."""
    samples = [1.0] * 999 + [100.0]
    latency = Latency.of(samples)
    assert (latency.n, latency.p50_ms, latency.p99_ms, latency.max_ms) == (1000, 1.0, 1.0, 100.0)
    assert latency.mean_ms == pytest.approx(1.099)
    values = list(np.random.default_rng(0).random(600))
    assert Latency.of(values).p90_ms == pytest.approx(np.percentile(values, 90))


def test_a_percentile_without_enough_samples_is_refused() -> None:
    """p99 needs 500 samples, p90 needs 50, p50 needs 10; with fewer it is not given."""
    for n, known in ((9, 0), (10, 1), (49, 1), (50, 2), (499, 2), (500, 3)):
        latency = Latency.of([1.0] * n)
        given = [p is not None for p in (latency.p50_ms, latency.p90_ms, latency.p99_ms)]
        assert given == [True] * known + [False] * (3 - known), n
    with pytest.raises(UsageError, match="at least one call"):
        Latency.of([])


def test_stops_after_a_least_time_and_a_least_count() -> None:
    """A fast call runs on until its time is up, a slow one until its count is full."""
    samples = interleave(
        {"fast": lambda _: None, "slow": lambda _: time.sleep(0.002)}, min_seconds=0.02, min_count=30, label="test"
    )
    assert len(samples["slow"]) >= 30
    assert sum(samples["fast"]) >= 0.02 * 1e3 * 0.99
    assert len(samples["fast"]) > len(samples["slow"])


def test_candidates_take_turns_and_get_new_input_each_call() -> None:
    """Calls alternate in short turns, the first turn is a warm-up, and the rounds count up without a gap."""
    order: list[tuple[str, int]] = []
    calls = {name: lambda number, name=name: order.append((name, number)) for name in "ab"}
    samples = interleave(calls, min_seconds=0, min_count=40, label="test")
    assert len(samples["a"]) == len(samples["b"]) == 40
    assert [name for name, _ in order[::20]] == list("ababab")
    assert [number for name, number in order if name == "a"] == [*range(20), *range(40)]


def test_a_candidate_that_dies_leaves_the_others_running() -> None:
    """What it gave in whole turns before is kept, its error too; ``interleave`` raises it."""

    def dying(number: int) -> None:
        if number == 47:
            message = "the engine is gone"
            raise RuntimeError(message)

    calls = {"dying": dying, "living": lambda _: None, "stillborn": lambda number: [][number]}
    turns = take_turns(calls, min_seconds=0, min_count=100, label="test")
    assert {name: len(taken) for name, taken in turns.samples.items()} == {"dying": 40, "living": 100, "stillborn": 0}
    assert {name: type(error) for name, error in turns.died.items()} == {"dying": RuntimeError, "stillborn": IndexError}
    with pytest.raises(RuntimeError, match="the engine is gone"):
        interleave({"dying": dying}, min_seconds=0, min_count=100, label="test")


def test_without_a_warm_up_every_call_counts() -> None:
    """A run that goes on from another needs no warm-up."""
    numbers: list[int] = []
    turns = take_turns({"a": numbers.append}, min_seconds=0, min_count=40, label="test", warm_up=False)
    assert len(turns.samples["a"]) == 40
    assert numbers == list(range(40))


def test_the_histogram_holds_every_call() -> None:
    """Each call is in the bin that its time falls in, what is below a microsecond in the first."""
    latency = Latency.of([0.0, 0.001, 0.0105, 1.0, 1.0, 1000.0])
    assert latency.bins == {"0": 2, "51": 1, "150": 2, "300": 1}
