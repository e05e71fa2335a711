"""95 % intervals of what was timed: a bootstrap over stretches of time, for calls that follow each other are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_STRETCHES = 10
"""Of fewer stretches no interval is given: drawing from so few says little."""

_MOST_STRETCHES = 100
_RESAMPLES = 500
_EDGES = 1001


def intervals(samples: NDArray[np.float64], shares: Mapping[str, float], turn: int) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the mean ("mean_ms") and of the quantiles ``shares`` (name -> 0 to 1) of samples (n,).

    The block bootstrap (Künsch 1989), with blocks side by side: at most 100 stretches of at least ``turn`` samples are
    drawn with replacement. Empty where there are fewer than ten.
    """
    stretches = min(len(samples) // turn, _MOST_STRETCHES)
    if stretches < LEAST_STRETCHES:
        return {}
    # each stretch as counts of the samples up to so many quantiles of all of them: with up to 1,001 samples nothing is
    # lost, and with millions the work stays the same
    edges = np.unique(np.quantile(samples, np.linspace(0, 1, _EDGES), method="inverted_cdf"))
    stretch = np.arange(len(samples)) * stretches // len(samples)
    cells = stretch * len(edges) + np.searchsorted(edges, samples)
    counts = np.bincount(cells, minlength=stretches * len(edges)).reshape(stretches, len(edges))
    drawn = _draw(stretches)
    up_to = (drawn @ counts).cumsum(axis=1)
    n = up_to[:, -1]
    found = {"mean_ms": drawn @ np.bincount(stretch, weights=samples) / n}
    for name, share in shares.items():
        found[name] = edges[(up_to < share * n[:, None]).sum(axis=1)]
    return {name: _bounds(values) for name, values in found.items()}


def pair_ratio(samples: Sequence[float], beside: Sequence[float], turn: int) -> tuple[float, float, float] | None:
    """Return how many times as long ``samples`` took as those that were taken ``beside`` them, turn by turn.

    The median of the turns' ratios and its 95 % bootstrap interval; None below ten turns. Each ratio is of two means:
    faces are looked for in every third frame, and a median would never see what that costs.
    """
    turns = min(len(samples), len(beside)) // turn
    if turns < LEAST_STRETCHES:
        return None
    own, other = (np.mean(np.reshape(some[: turns * turn], (turns, turn)), axis=1) for some in (samples, beside))
    ratios = own / other
    drawn = np.random.default_rng(0).integers(turns, size=(_RESAMPLES, turns))
    return float(np.median(ratios)), *_bounds(np.median(ratios[drawn], axis=1))


def _draw(stretches: int) -> NDArray[np.float64]:
    """How often each stretch is drawn, in each resample: (resamples, stretches)."""
    drawn = np.random.default_rng(0).multinomial(stretches, np.full(stretches, 1 / stretches), size=_RESAMPLES)
    return drawn.astype(np.float64)  # integers would be multiplied ten times as slowly


def _bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
