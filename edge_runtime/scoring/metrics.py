"""Figures of merit of a classifier, from labels and probabilities; numpy alone, fractions not per cent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class EmotionMetrics:
    """Figures of one emotion: faces that have it, precision, recall and their harmonic mean (0 where undefined)."""

    n: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Figures over ``n`` faces, fractions in [0, 1].

    ``macro_*``: mean over the emotions that occur among labels or answers; ``weighted_*``: mean by their frequency.
    ``cross_entropy``: mean negative log likelihood of the label, in nats.
    ``ece``: expected calibration error over 15 equal bins of confidence (Guo et al. 2017).
    ``confusion``: counts (7, 7), rows the true emotion, columns the predicted one.
    """

    n: int
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    cross_entropy: float
    ece: float
    emotions: dict[str, EmotionMetrics]
    confusion: tuple[tuple[int, ...], ...]


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Turn logits (n, 7) into float32 probabilities (n, 7), after dividing by ``temperature`` > 0."""
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=-1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled


def confusion(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count (7, 7): rows the true emotion, columns the predicted one."""
    size = len(EMOTIONS)
    return np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)


def calibration_error(labels: NDArray[np.int64], probabilities: NDArray[np.float32], bins: int = 15) -> float:
    """Mean gap between confidence and accuracy, weighted by bin size (Guo et al. 2017); 0 is perfect."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(index, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def score(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Metrics:
    """Score probabilities (n, 7) against labels (n,), n ≥ 1."""
    counts = confusion(labels, probabilities.argmax(axis=1))
    precision, recall, f1 = _of_emotions(counts)
    likelihood = probabilities[np.arange(len(labels)), labels]
    rows = zip(counts.sum(axis=1), precision, recall, f1, strict=True)
    of_each = [EmotionMetrics(n=int(n), precision=float(p), recall=float(r), f1=float(f)) for n, p, r, f in rows]
    return Metrics(
        n=len(labels),
        **{name: float(value) for name, value in summary(counts).items()},
        cross_entropy=float(-np.log(np.maximum(likelihood, 1e-12)).mean()),
        ece=calibration_error(labels, probabilities),
        emotions=dict(zip(EMOTIONS, of_each, strict=True)),
        confusion=tuple(tuple(map(int, row)) for row in counts),
    )


def summary(counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Figures over all emotions of confusion counts (..., 7, 7), each of shape (...): those of ``Metrics``."""
    actual, predicted, total = counts.sum(axis=-1), counts.sum(axis=-2), counts.sum(axis=(-2, -1))
    present = actual + predicted > 0
    figures = {"accuracy": np.trace(counts, axis1=-2, axis2=-1) / total}
    for name, values in zip(("precision", "recall", "f1"), _of_emotions(counts), strict=True):
        figures[f"macro_{name}"] = values.sum(axis=-1) / present.sum(axis=-1)  # an absent emotion's value is 0
        figures[f"weighted_{name}"] = (values * actual).sum(axis=-1) / total
    return figures


def intervals(metrics: Metrics, seed: int = 0, resamples: int = 2000) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap intervals (Efron 1979) of the figures in ``summary``, and of each emotion's recall.

    Drawing n faces with replacement is drawing the confusion's 49 counts from their multinomial distribution.
    """
    counts = np.array(metrics.confusion)
    drawn = np.random.default_rng(seed).multinomial(metrics.n, counts.ravel() / metrics.n, size=resamples)
    drawn = drawn.reshape(resamples, *counts.shape)
    figures = summary(drawn)
    figures |= {f"recall_{name}": values for name, values in zip(EMOTIONS, _of_emotions(drawn)[1].T, strict=True)}
    bounds = {name: np.percentile(values, (2.5, 97.5)) for name, values in figures.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def _of_emotions(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and F1, each (..., 7), of confusion counts (..., 7, 7); 0 where undefined."""
    hits, actual, predicted = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1), counts.sum(axis=-2)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(actual, 1)
    return precision, recall, 2 * hits / np.maximum(actual + predicted, 1)
