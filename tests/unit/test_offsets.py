"""Bias correction: what is added to the logits, and that it ends up in the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distill.networks import load_network
from edge_runtime.scoring.datasets import FaceSet, read_faces
from train.evaluate import predict
from train.offsets import correct_bias, fit_offsets


@pytest.fixture
def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits of 40,000 faces, and labels drawn from them."""
    random = torch.Generator().manual_seed(3)
    logits = torch.randn(40_000, 7, generator=random) * 2
    return logits, torch.multinomial(torch.softmax(logits, 1), 1, generator=random)[:, 0]


def test_a_known_bias_is_taken_back_whatever_the_temperature(drawn: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Logits that were moved, and flattened threefold, are moved back by as much as they were moved."""
    logits, labels = drawn
    moved = torch.tensor([0.3, -0.9, 0.1, 0.0, 0.4, -0.2, 0.3])
    offsets = fit_offsets((logits + moved) / 3, labels)
    np.testing.assert_allclose(offsets * 3, -(moved - moved.mean()), atol=0.08)


def test_logits_that_are_right_stay(drawn: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Nothing is added to logits whose probabilities are the labels'."""
    np.testing.assert_allclose(fit_offsets(*drawn), np.zeros(7), atol=0.05)


def test_an_emotion_without_a_face_stays_finite(drawn: tuple[torch.Tensor, torch.Tensor]) -> None:
    """An emotion that no label names is made rare, and not impossible."""
    logits, labels = drawn
    offsets = fit_offsets(logits[labels != 1], labels[labels != 1])
    assert offsets.isfinite().all()
    assert -20 < offsets[1] < -2


@pytest.mark.parametrize("tells", [0.0, -0.3])
def test_logits_that_tell_nothing_stay(drawn: tuple[torch.Tensor, torch.Tensor], tells: float) -> None:
    """Noise, and logits that say the opposite: what fits the labels best is to name the commonest always; it is not."""
    logits, _ = drawn
    random = torch.Generator().manual_seed(5)
    rare = torch.tensor([0.14, 0.015, 0.14, 0.25, 0.17, 0.11, 0.175])
    labels = torch.multinomial(torch.softmax(tells * logits, 1) * rare, 1, generator=random)[:, 0]
    assert fit_offsets(logits, labels).tolist() == [0.0] * 7


@pytest.mark.parametrize("kind", ["toy_teacher", "toy_student"])
def test_the_weights_hold_it(kind: str, small_csv: Path, request: pytest.FixtureRequest) -> None:
    """After the correction every logit has moved by one number an emotion, and a second correction moves nothing."""
    network, faces = load_network(request.getfixturevalue(kind)), read_faces(small_csv, "Training")
    before = predict(network, faces.images)
    labels = before.argmax(axis=1)
    labels[::2] = 2
    few = FaceSet(images=faces.images, labels=labels, split=faces.split, sha256="")
    correct_bias(network, few)
    moved = predict(network, faces.images) - before
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-4)
    assert moved[0].argmax() == 2
    correct_bias(network, few)
    np.testing.assert_allclose(predict(network, faces.images) - before, moved, atol=0.02 * moved.max())
