"""Timing of calls: when to stop, in which order, and which percentiles the samples can carry."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from edge_runtime.errors import UsageError

PERCENTILES = (50, 90, 99)
LEAST_BEYOND = 5
"""A percentile needs at least this many samples beyond it, or one late call decides it: p99 needs 500."""

_BLOCK = 20
"""Calls of one candidate in a row: enough to fill its caches as use does, so few that the machine's drift hits all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds over ``n`` calls; nothing is removed from the tail. A percentile that ``n`` cannot carry is None."""

    n: int
    mean_ms: float
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float

    @classmethod
    def of(cls, samples_ms: list[float]) -> Latency:
        """Summarise samples; raise ``UsageError`` when there are none."""
        if not samples_ms:
            raise UsageError("latency", expected="at least one call", got="none", next_step="raise --min-count")
        p50, p90, p99 = (
            float(np.percentile(samples_ms, p)) if len(samples_ms) * (100 - p) / 100 >= LEAST_BEYOND else None
            for p in PERCENTILES
        )
        return cls(
            n=len(samples_ms),
            mean_ms=float(np.mean(samples_ms)),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            max_ms=max(samples_ms),
        )


def interleave(
    calls: Mapping[str, Callable[[int], object]], *, min_seconds: float, min_count: int, label: str
) -> dict[str, Latency]:
    """Time each call, in turns of a few, until every one has run for ``min_seconds`` AND ``min_count`` times.

    A call is given the number of the round, so that it can vary its input. The first turn of each is a warm-up, which
    is not counted.
    """
    samples: dict[str, list[float]] = {name: [] for name in calls}
    spent = dict.fromkeys(calls, 0.0)
    waiting = dict(calls)
    with tqdm(total=len(calls), desc=label, unit="candidate", leave=False, disable=None) as progress:
        for call in calls.values():
            _turn(call, 0)
        while waiting:
            for name, call in list(waiting.items()):
                taken = _turn(call, len(samples[name]))
                samples[name] += taken
                spent[name] += sum(taken) / 1e3
                if spent[name] >= min_seconds and len(samples[name]) >= min_count:
                    del waiting[name]
                    progress.update()
    return {name: Latency.of(taken) for name, taken in samples.items()}


def _turn(call: Callable[[int], object], first: int) -> list[float]:
    taken = []
    for number in range(first, first + _BLOCK):
        started = time.perf_counter_ns()
        call(number)
        taken.append((time.perf_counter_ns() - started) / 1e6)
    return taken
