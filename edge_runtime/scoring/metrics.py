"""Figures of merit of a classifier, from labels and probabilities; numpy alone, fractions not per cent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Figures over ``n`` faces, fractions in [0, 1].

    ``ece``: expected calibration error over 15 equal bins of confidence (Guo et al. 2017). ``recall``: per emotion,
    NaN where none occurs.
    """

    n: int
    accuracy: float
    macro_f1: float
    ece: float
    recall: dict[str, float]


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
    hits, actual, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    present = actual + predicted > 0
    f1 = 2 * hits[present] / (actual + predicted)[present]
    with np.errstate(invalid="ignore"):
        recall = hits / actual
    return Metrics(
        n=len(labels),
        accuracy=float(hits.sum() / len(labels)),
        macro_f1=float(f1.mean()),
        ece=calibration_error(labels, probabilities),
        recall=dict(zip(EMOTIONS, map(float, recall), strict=True)),
    )
