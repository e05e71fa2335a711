"""The figures of merit, against hand-computed cases and against their definitions spelt out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.options import to_plain
from edge_runtime.scoring.calibration import cross_fitted, fit_temperature
from edge_runtime.scoring.metrics import (
    EmotionMetrics,
    calibration_error,
    confusion,
    intervals,
    score,
    softmax,
    summary,
)


def certain(predicted: list[int], confidence: float = 1.0) -> NDArray[np.float32]:
    """Return probabilities that give ``confidence`` to each predicted emotion and share out the rest."""
    probabilities = np.full((len(predicted), 7), (1 - confidence) / 6, np.float32)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities


def random_case(seed: int, n: int = 400) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return labels and probabilities that agree more often than chance."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet([0.5] * 7, n).astype(np.float32)
    labels = np.where(random.random(n) < 0.4, probabilities.argmax(axis=1), random.integers(0, 7, n))
    return labels.astype(np.int64), probabilities


def test_hand_computed_case() -> None:
    """Four faces of two emotions, one of them wrong: every figure as computed on paper."""
    metrics = score(np.array([0, 0, 0, 3]), certain([0, 0, 3, 3], confidence=0.8))
    assert metrics.n == 4
    assert metrics.accuracy == 0.75
    # angry: precision 2/2, recall 2/3, F1 4/5; happy: precision 1/2, recall 1/1, F1 2/3
    assert metrics.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)
    # all in one bin: confidence 0.8, accuracy 0.75
    assert metrics.ece == pytest.approx(0.05, abs=1e-6)
    assert metrics.emotions["angry"] == EmotionMetrics(n=3, precision=1.0, recall=2 / 3, f1=0.8)
    assert metrics.emotions["happy"] == EmotionMetrics(n=1, precision=0.5, recall=1.0, f1=2 / 3)
    assert metrics.weighted_f1 == pytest.approx((3 * 4 / 5 + 2 / 3) / 4)
    assert metrics.cross_entropy == pytest.approx(-(3 * math.log(0.8) + math.log(0.2 / 6)) / 4)
    assert metrics.confusion[0] == (2, 0, 0, 1, 0, 0, 0)


def test_absent_emotions_do_not_lower_the_means() -> None:
    """An emotion that neither occurs nor is predicted has no part in the macro figures, and its own are 0."""
    metrics = score(np.array([1, 2]), certain([1, 2]))
    assert (metrics.macro_precision, metrics.macro_recall, metrics.macro_f1) == (1.0, 1.0, 1.0)
    assert [name for name, value in metrics.emotions.items() if value.n] == ["disgust", "fear"]
    assert metrics.emotions["sad"] == EmotionMetrics(n=0, precision=0.0, recall=0.0, f1=0.0)


def test_emotion_predicted_but_absent_counts_as_zero_f1() -> None:
    """An emotion that is predicted and never occurs drags macro-F1 down: its F1 is 0."""
    # disgust: precision 1, recall 1/2, F1 2/3; fear: predicted once, never there, F1 0
    assert score(np.array([1, 1]), certain([1, 2])).macro_f1 == pytest.approx(1 / 3)


def test_confusion_has_true_rows_and_predicted_columns() -> None:
    """One angry face taken for neutral stands in the first row and the last column."""
    counts = confusion(np.array([0, 3, 3]), np.array([6, 3, 3]))
    assert counts.shape == (7, 7)
    assert (counts[0, 6], counts[3, 3], counts.sum()) == (1, 2, 3)


@pytest.mark.parametrize("seed", range(5))
def test_scores_follow_their_definitions(seed: int) -> None:
    """Accuracy, recall, macro-F1 and the confusion counts equal a plain loop over the definitions."""
    labels, probabilities = random_case(seed)
    predicted = probabilities.argmax(axis=1)
    metrics, counts = score(labels, probabilities), confusion(labels, predicted)
    f1 = []
    for index, emotion in enumerate(EMOTIONS):
        hits = sum((labels == index) & (predicted == index))
        precision, recall = hits / sum(predicted == index), hits / sum(labels == index)
        f1.append(2 * precision * recall / (precision + recall))
        assert metrics.emotions[emotion].recall == pytest.approx(recall)
        for other in range(7):
            assert counts[index, other] == sum((labels == index) & (predicted == other))
    assert metrics.accuracy == pytest.approx(sum(labels == predicted) / len(labels))
    assert metrics.macro_f1 == pytest.approx(sum(f1) / 7)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@pytest.mark.parametrize("seed", range(5))
def test_means_are_those_of_scikit_learn(seed: int, average: str) -> None:
    """Macro and weighted precision, recall and F1 are those of the library that papers use."""
    metrics = pytest.importorskip("sklearn.metrics")
    labels, probabilities = random_case(seed, n=60 if seed else 12)
    ours = to_plain(score(labels, probabilities))
    expected = metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), average=average, zero_division=0
    )
    for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
        assert ours[f"{average}_{name}"] == pytest.approx(value)


def test_intervals_cover_what_they_should() -> None:
    """A 95 % interval holds the figure itself, is seeded, and narrows with the square root of the faces."""
    labels, probabilities = random_case(3, n=400)
    metrics = score(labels, probabilities)
    found = intervals(metrics, seed=1)
    assert found == intervals(metrics, seed=1)
    assert set(found) == {*summary(np.array(metrics.confusion)), *(f"recall_{name}" for name in EMOTIONS)}
    low, high = found["accuracy"]
    assert low < metrics.accuracy < high
    # the normal approximation of a share: ± 1.96 standard errors
    error = 1.96 * math.sqrt(metrics.accuracy * (1 - metrics.accuracy) / 400)
    assert high - low == pytest.approx(2 * error, rel=0.1)
    more = intervals(score(np.tile(labels, 16), np.tile(probabilities, (16, 1))))["accuracy"]
    assert more[1] - more[0] == pytest.approx((high - low) / 4, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_follows_its_definition(seed: int, bins: int) -> None:
    """The calibration error equals the sum over bins of share × |accuracy − mean confidence|."""
    labels, probabilities = random_case(seed)
    confidence, right = probabilities.max(axis=1).astype(float), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for index in range(bins):
        inside = (confidence >= index / bins) & (confidence < (index + 1) / bins)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(labels, probabilities, bins) == pytest.approx(expected, abs=1e-6)


def test_full_confidence_belongs_to_the_last_bin() -> None:
    """A confidence of exactly 1, right or wrong, is counted and does not fall out of the bins."""
    assert calibration_error(np.array([0, 0]), certain([0, 0])) == 0.0
    assert calibration_error(np.array([0, 0]), certain([1, 1])) == 1.0
    # one right at 0.95 and one wrong at 1, in one bin: mean confidence 0.975, accuracy 0.5
    both = np.concatenate([certain([0], 0.95), certain([1])])
    assert calibration_error(np.array([0, 0]), both) == pytest.approx(0.475, abs=1e-6)


def test_calibrated_probabilities_have_little_calibration_error() -> None:
    """Labels drawn from the probabilities themselves give a small error; the same ones sharpened, a large one."""
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([0.5] * 7, 20_000).astype(np.float32)
    labels = (random.random((20_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=6)
    assert calibration_error(labels, probabilities) < 0.02
    assert calibration_error(labels, softmax(np.log(probabilities + 1e-9), 0.25)) > 0.1


def test_softmax_is_the_exponential_over_its_sum() -> None:
    """Probabilities are positive, sum to one, are float32 and equal the formula; the logits stay as they were."""
    logits = np.random.default_rng(0).normal(0, 3, (50, 7)).astype(np.float32)
    before = logits.copy()
    probabilities = softmax(logits, 1.7)
    exponentials = np.exp(logits.astype(float) / 1.7)
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(logits, before)


def test_softmax_survives_logits_beyond_exp() -> None:
    """Logits whose exponential no float holds give finite probabilities."""
    np.testing.assert_array_equal(softmax(np.array([[1e4, 0.0, -1e4]], np.float32)), [[1, 0, 0]])


def test_temperature_flattens_and_keeps_the_order() -> None:
    """A higher temperature lowers every confidence and changes no emotion."""
    logits = np.random.default_rng(1).normal(0, 2, (50, 7)).astype(np.float32)
    sharp, flat = softmax(logits, 1.0), softmax(logits, 3.0)
    assert (flat.max(axis=1) < sharp.max(axis=1)).all()
    np.testing.assert_array_equal(flat.argsort(axis=1), sharp.argsort(axis=1))


def test_temperature_is_found() -> None:
    """Logits that were sharpened by a known factor give it back."""
    random = np.random.default_rng(5)
    logits = random.normal(size=(20_000, 7)).astype(np.float32)
    cumulative = softmax(logits.copy()).cumsum(axis=1)
    labels = (random.random((20_000, 1)) > cumulative).sum(axis=1).clip(max=6)
    assert fit_temperature(labels, logits * 2.5) == pytest.approx(2.5, rel=0.05)


def test_temperature_stays_within_its_limits() -> None:
    """Answers that are always right ask for infinite sharpness, and always wrong ones for none: both are bounded."""
    logits = np.eye(7, dtype=np.float32)
    assert fit_temperature(np.arange(7), logits) == pytest.approx(0.25, rel=1e-3)
    assert fit_temperature((np.arange(7) + 1) % 7, logits) == pytest.approx(4, rel=1e-3)


def test_cross_fitting_calibrates_each_half_by_the_other() -> None:
    """Sharpened answers come back calibrated, and a half's own labels have no say in its temperature."""
    random = np.random.default_rng(1)
    logits = random.normal(size=(20_000, 7)).astype(np.float32)
    labels = (random.random((20_000, 1)) > softmax(logits.copy()).cumsum(axis=1)).sum(axis=1).clip(max=6)
    assert calibration_error(labels, softmax(logits * 3)) > 0.1
    scaled = cross_fitted(labels, logits * 3)
    assert calibration_error(labels, scaled) < 0.02
    labels[::2] = 0
    np.testing.assert_array_equal(cross_fitted(labels, logits * 3)[::2], scaled[::2])
