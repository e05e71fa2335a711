"""The harness's clock: stop rule, percentiles, turns."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import clock
from benchmarks.clock import COLD, TURN, Latency, interleave, is_timed, take_turns
from edge_runtime.errors import UsageError


@pytest.fixture
def spend(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets so many milliseconds pass on the harness's clock, where else none do."""
    now_ns = 0

    def pass_by(ms: float) -> None:
        nonlocal now_ns
        now_ns += round(ms * 1e6)

    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter_ns=lambda: now_ns))
    return pass_by


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


def test_stops_after_a_least_time_and_a_least_count(spend: Callable[[float], None]) -> None:
    """A fast call runs on until its time is up, a slow one until its count is full."""
    ms = {"fast": 1.0, "slow": 10.0}
    calls = {name: lambda _, name=name: spend(ms[name]) for name in ms}
    samples = interleave(calls, min_seconds=0.23, min_count=30, label="test")
    assert len(samples["fast"]) == 10 * TURN  # the cold calls are among its seconds
    assert len(samples["slow"]) == 2 * TURN


def test_candidates_take_turns_and_get_new_input_each_call() -> None:
    """Calls alternate in short turns, prepared each; the first is a warm-up, and calls count up without a gap."""
    order: list[tuple[str, int]] = []
    prepared: list[str] = []
    calls = {name: lambda number, name=name: order.append((name, number)) for name in "ab"}
    turns = take_turns(calls, min_seconds=0, min_count=2 * TURN, label="test", prepare=prepared.append)
    assert len(turns.samples["a"]) == len(turns.samples["b"]) == 2 * TURN
    assert [name for name, _ in order[:: COLD + TURN]] == prepared == list("ababab")
    assert [number for name, number in order if name == "a"] == list(range(3 * (COLD + TURN)))


def test_short_and_long_calls_are_measured_over_the_same_time(spend: Callable[[float], None]) -> None:
    """Who needs many short turns has them spread over the others' few long ones, and none runs alone at the end."""
    ms = {"short": 0.5, "long": 20.0, "longer": 40.0, "nothing": 0.0}
    calls = {name: lambda _, name=name: spend(ms[name]) for name in ms}
    turns = take_turns(calls, min_seconds=3.0, min_count=10 * TURN, label="test", by_count_alone=("nothing",))
    assert len(turns.samples["longer"]) == len(turns.samples["nothing"]) == 10 * TURN
    assert len(turns.samples["short"]) == 250 * TURN
    whole = max(began_s[-1] for began_s in turns.began_s.values())
    for name, began_s in turns.began_s.items():
        assert len(began_s) == len(turns.samples[name]) / TURN
        assert began_s[0] < 0.2 * whole, name
        assert began_s[-1] > 0.8 * whole, name
        gaps = [after - before for before, after in pairwise(began_s)]
        assert max(gaps) < 0.2 * whole, name


def test_what_the_others_did_to_the_caches_is_not_timed(spend: Callable[[float], None]) -> None:
    """Calls that are slow right after another candidate's, and getting ready for a turn, are in no sample."""
    last = ""

    def call(name: str) -> None:
        nonlocal last
        spend(1.0 if name == last else 50.0)
        last = name

    calls = {name: lambda _, name=name: call(name) for name in "ab"}
    turns = take_turns(calls, min_seconds=0, min_count=500, label="test", prepare=lambda _: spend(70.0))
    assert set(turns.samples["a"]) == set(turns.samples["b"]) == {1.0}


def test_the_timed_calls_are_known_by_their_number() -> None:
    """As many as there are samples, beginning after the first turn and the cold calls of the second."""
    numbers: list[int] = []
    turns = take_turns({"a": numbers.append}, min_seconds=0, min_count=3 * TURN, label="test")
    timed = [number for number in numbers if is_timed(number)]
    assert len(timed) == len(turns.samples["a"]) == 3 * TURN
    assert timed[0] == TURN + 2 * COLD
    assert TURN % 3 == COLD % 3 == 0  # a turn of frames holds whole cycles


def test_a_candidate_that_dies_leaves_the_others_running() -> None:
    """What it gave in whole turns before is kept, its error too; ``interleave`` raises it."""

    def dying(number: int) -> None:
        if number == 3 * (COLD + TURN) + 7:
            message = "the engine is gone"
            raise RuntimeError(message)

    calls = {"dying": dying, "living": lambda _: None, "stillborn": lambda number: [][number]}
    turns = take_turns(calls, min_seconds=0, min_count=100, label="test")
    given = {name: len(taken) for name, taken in turns.samples.items()}
    assert given == {"dying": 2 * TURN, "living": 5 * TURN, "stillborn": 0}
    assert {name: type(error) for name, error in turns.died.items()} == {"dying": RuntimeError, "stillborn": IndexError}
    with pytest.raises(RuntimeError, match="the engine is gone"):
        interleave({"dying": dying}, min_seconds=0, min_count=100, label="test")


def test_without_a_warm_up_every_turn_counts() -> None:
    """A run that goes on from another needs no turn for it."""
    numbers: list[int] = []
    turns = take_turns({"a": numbers.append}, min_seconds=0, min_count=2 * TURN, label="test", warm_up=False)
    assert len(turns.samples["a"]) == 2 * TURN
    assert numbers == list(range(2 * (COLD + TURN)))


def test_the_histogram_holds_every_call() -> None:
    """Each call is in the bin that its time falls in, what is below a microsecond in the first."""
    latency = Latency.of([0.0, 0.001, 0.0105, 1.0, 1.0, 1000.0])
    assert latency.bins == {"0": 2, "51": 1, "150": 2, "300": 1}
