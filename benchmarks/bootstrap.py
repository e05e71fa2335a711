"""95 % intervals of what was timed: a bootstrap over stretches of time, for calls that follow each other are alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEAST_STRETCHES = 10
"""Of fewer stretches no interval is given: drawing from so few says little."""

_MOST_STRETCHES = 100
_RESAMPLES = 1000
_EDGES = 1001
_CLOSER = np.linspace(-8, 8, 161)
"""In standard errors of a quantile of independent samples."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Timed:
    """Samples of one candidate, and when each of its turns began, in seconds."""

    samples: Sequence[float]
    began_s: Sequence[float]

    def means(self, turn: int) -> NDArray[np.float64]:
        """Mean of each turn."""
        of_turns: NDArray[np.float64] = np.mean(
            np.reshape(self.samples[: len(self.began_s) * turn], (-1, turn)), axis=1
        )
        return of_turns


def intervals(samples: NDArray[np.float64], shares: Mapping[str, float], turn: int) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the mean ("mean_ms") and of the quantiles ``shares`` (name -> 0 to 1) of samples (n,).

    The block bootstrap (Künsch 1989), with blocks side by side: at most 100 stretches of at least ``turn`` samples are
    drawn with replacement. Empty where there are fewer than ten.
    """
    stretches = min(len(samples) // turn, _MOST_STRETCHES)
    if stretches < LEAST_STRETCHES:
        return {}
    # each stretch as counts of the samples up to so many quantiles of all of them: with up to 1,001 samples nothing is
    # lost, and with millions the work stays the same; around those that are asked for they lie closer
    at = [np.linspace(0, 1, _EDGES)]
    at += [share + _CLOSER * math.sqrt(share * (1 - share) / len(samples)) for share in shares.values()]
    edges = np.unique(np.quantile(samples, np.concatenate(at).clip(0, 1), method="inverted_cdf"))
    stretch = np.arange(len(samples)) * stretches // len(samples)
    cells = stretch * len(edges) + np.searchsorted(edges, samples)
    counts = np.bincount(cells, minlength=stretches * len(edges)).reshape(stretches, len(edges))
    drawn = _draw(stretches)
    up_to = (drawn @ counts).cumsum(axis=1)
    n = up_to[:, -1]
    found = {"mean_ms": drawn @ np.bincount(stretch, weights=samples) / n}
    for name, share in shares.items():
        found[name] = edges[(up_to < share * n[:, None]).sum(axis=1)]
    return {name: _bounds(values, stretches) for name, values in found.items()}


def pair_ratio(own: Timed, other: Timed, turn: int) -> tuple[float, float, float] | None:
    """Return how many times as long ``own`` samples took as the ``other`` ones beside them, turn by turn.

    The median of the turns' ratios and its 95 % bootstrap interval; None below ten turns. Who has more turns than the
    other has several beside one. Each ratio is of two means: faces are looked for in every third frame, and a median
    would never see what that costs.
    """
    one, many = sorted((own, other), key=lambda timed: len(timed.began_s))
    if len(one.began_s) < LEAST_STRETCHES:
        return None
    of_one, of_many = one.means(turn), many.means(turn)
    nearest, closest = _nearest(many.began_s, one.began_s), _nearest(one.began_s, many.began_s)
    beside = np.bincount(nearest, minlength=len(of_one))
    sums = np.bincount(nearest, weights=of_many, minlength=len(of_one))
    means = np.where(beside > 0, sums / np.maximum(beside, 1), of_many[closest])
    # who died early has no turn beside the later ones
    apart_s = np.abs(np.take(many.began_s, closest) - one.began_s)
    paired = apart_s <= np.diff(one.began_s).max()
    ratios = of_one[paired] / means[paired]
    if own is many:
        ratios = 1 / ratios
    turns = len(ratios)
    if turns < LEAST_STRETCHES:
        return None
    random = np.random.default_rng(0)
    medians = [np.median(ratios[random.integers(turns, size=turns)]) for _ in range(_RESAMPLES)]
    return float(np.median(ratios)), *_bounds(np.array(medians), turns)


def _nearest(of: Sequence[float], among: Sequence[float]) -> NDArray[np.intp]:
    """Place of the nearest of ``among``, ascending and two at least, to each of ``of``."""
    after = np.searchsorted(among, of).clip(1, len(among) - 1)
    is_nearer: NDArray[np.bool_] = np.subtract(of, np.take(among, after - 1)) <= np.subtract(np.take(among, after), of)
    return np.where(is_nearer, after - 1, after)


def _draw(stretches: int) -> NDArray[np.float64]:
    """How often each stretch is drawn, in each resample: (resamples, stretches)."""
    drawn = np.random.default_rng(0).multinomial(stretches, np.full(stretches, 1 / stretches), size=_RESAMPLES)
    return drawn.astype(np.float64)  # integers would be multiplied ten times as slowly


def _bounds(values: NDArray[np.float64], drawn_from: int) -> tuple[float, float]:
    """Return the 95 % interval of resampled ``values``: expanded percentiles (Hesterberg 2015, formula 7).

    A bootstrap from few is too narrow, as a normal interval with an estimated deviation is; both are widened alike.
    """
    z, freedom = _NORMAL.inv_cdf(0.975), drawn_from - 1
    # Student's quantile, by its expansion in 1 / freedom (Abramowitz & Stegun 26.7.5)
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    tail = _NORMAL.cdf(-t * math.sqrt(drawn_from / freedom))
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)
