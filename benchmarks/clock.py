"""Timing of calls: when to stop, in which order, and which percentiles the samples can carry."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from tqdm import tqdm

from benchmarks.bootstrap import intervals
from edge_runtime.errors import UsageError
from edge_runtime.strict import require

PERCENTILES = (50, 90, 99)
LEAST_BEYOND = 5
"""A percentile needs at least this many samples beyond it, or one late call decides it: p99 needs 500."""

TURN = 21
"""Timed calls of one candidate in a row: so few that the machine's drift hits all. A multiple of three, so that a turn
of frames holds whole cycles: faces are looked for in every third."""

COLD = 3
"""Calls at the start of a turn that are not timed: they find their caches full of what the other candidates left
there, and being so many of all, they would be the p99. Three, since a detector is first called in one of them."""

BINS_A_DECADE = 50
"""Of the histogram: a bin is 4.7 % wide, and bin 0 begins at a microsecond."""

Call = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds over ``n`` calls; nothing is removed from the tail. A percentile that ``n`` cannot carry is None.

    ``intervals_95``: 95 % bootstrap intervals of the mean and of the percentiles, by field; empty below ten turns.
    ``bins``: the histogram, bin -> calls, see ``BINS_A_DECADE``.
    """

    n: int
    mean_ms: float
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float
    intervals_95: dict[str, tuple[float, float]]
    bins: dict[str, int]

    def __post_init__(self) -> None:
        """Refuse what no samples have: raise ``MismatchError``."""
        times = {f"p{p}_ms": getattr(self, f"p{p}_ms") for p in PERCENTILES} | {"mean_ms": self.mean_ms}
        given = [ms for ms in (*times.values(), self.max_ms) if ms is not None]
        require(min(given) >= 0, "times of a latency", "at least 0", min(given))
        known = {name for name, ms in times.items() if ms is not None}
        require(known >= self.intervals_95.keys(), "intervals_95", f"among {sorted(known)}", list(self.intervals_95))
        places = all(place.isdecimal() and calls > 0 for place, calls in self.bins.items())
        require(places and sum(self.bins.values()) == self.n > 0, "bins", f"{self.n} calls by bin", self.bins)

    @classmethod
    def of(cls, samples_ms: Sequence[float]) -> Latency:
        """Summarise samples; raise ``UsageError`` when there are none."""
        if not len(samples_ms):
            raise UsageError("latency", expected="at least one call", got="none", next_step="raise --min-count")
        samples = np.asarray(samples_ms, np.float64)
        carried = {f"p{p}_ms": p / 100 for p in PERCENTILES if len(samples) * (100 - p) / 100 >= LEAST_BEYOND}
        places = np.floor(np.log10(np.maximum(samples, 1e-3) / 1e-3) * BINS_A_DECADE).astype(int)
        return cls(
            n=len(samples),
            mean_ms=float(samples.mean()),
            **{f"p{p}_ms": _quantile(samples, carried.get(f"p{p}_ms")) for p in PERCENTILES},
            max_ms=float(samples.max()),
            intervals_95=intervals(samples, carried, TURN),
            bins={str(place): count for place, count in sorted(Counter(places.tolist()).items())},
        )


@dataclass(slots=True, kw_only=True)
class Turns:
    """Samples of each candidate in milliseconds, whole turns, and the error of each that raised one and was left out.

    ``began_s``: when each of a candidate's turns began, by which a turn is found that ran beside it.
    """

    samples: dict[str, list[float]]
    began_s: dict[str, list[float]]
    died: dict[str, Exception]


def take_turns(
    calls: Mapping[str, Call],
    *,
    min_seconds: float,
    min_count: int,
    label: str,
    warm_up: bool = True,
    by_count_alone: Container[str] = (),
    prepare: Callable[[str], object] = lambda _: None,
) -> Turns:
    """Time each call, in turns of a few, until every one has run for ``min_seconds`` AND was timed ``min_count`` times.

    The next turn is that of the candidate that has done the smallest share of what it has to do, so that all of them
    come to their end together and each is measured over the whole time, whether its calls are short or long.
    ``by_count_alone``: candidates that need not run for any time, for a call of theirs takes next to none.

    A call is given how many came before it, so that it can vary its input. ``prepare`` is given the name of a candidate
    before each of its turns. The first turn of each is a warm-up, and so are the first ``COLD`` calls of every turn:
    neither is counted.
    """
    turns = Turns(samples={name: [] for name in calls}, began_s={name: [] for name in calls}, died={})
    numbers = {name: count() for name in calls}
    least_s = {name: 0.0 if name in by_count_alone else min_seconds for name in calls}
    spent_s = dict.fromkeys(calls, 0.0)
    cold = list(calls) if warm_up else []
    waiting = dict.fromkeys(calls, 0.0)  # candidate -> share of what it has to do that is done
    shown = "{desc}: {percentage:3.0f} % |{bar}| {elapsed} < {remaining}"
    with tqdm(total=len(calls), desc=label, leave=False, disable=None, bar_format=shown) as progress:
        while waiting:
            is_warm_up = bool(cold)
            name = cold.pop(0) if cold else min(waiting, key=lambda name: waiting[name])
            started_ns = time.perf_counter_ns()
            try:
                prepare(name)
                taken = _turn(calls[name], numbers[name])
            except Exception as error:  # noqa: BLE001  (an engine may raise anything; the others go on)
                turns.died[name] = error
                progress.update(1 - waiting.pop(name))
                continue
            if is_warm_up:
                continue
            turns.samples[name] += taken
            turns.began_s[name].append(started_ns / 1e9)
            spent_s[name] += (time.perf_counter_ns() - started_ns) / 1e9
            shares = len(turns.samples[name]) / min_count, spent_s[name] / least_s[name] if least_s[name] else 1.0
            share = min(*shares, 1.0)
            progress.update(share - waiting[name])
            waiting[name] = share
            if share == 1:
                del waiting[name]
    return turns


def interleave(calls: Mapping[str, Call], *, min_seconds: float, min_count: int, label: str) -> dict[str, list[float]]:
    """Take turns as ``take_turns`` does, and return the samples; an error of a call is raised."""
    turns = take_turns(calls, min_seconds=min_seconds, min_count=min_count, label=label)
    for error in turns.died.values():
        raise error
    return turns.samples


def is_timed(number: int) -> bool:
    """Whether call ``number`` of a candidate, from 0, is among the samples of ``take_turns`` with its warm-up."""
    turn, place = divmod(number, COLD + TURN)
    return turn > 0 and place >= COLD


def _turn(call: Call, numbers: Iterator[int]) -> list[float]:
    for number in islice(numbers, COLD):
        call(number)
    taken = []
    for number in islice(numbers, TURN):
        started = time.perf_counter_ns()
        call(number)
        taken.append((time.perf_counter_ns() - started) / 1e6)
    return taken


def _quantile(samples: np.ndarray, share: float | None) -> float | None:
    return None if share is None else float(np.quantile(samples, share))
