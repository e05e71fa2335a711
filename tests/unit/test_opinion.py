"""What FER+ says of a label, as one more teacher."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from distill import loop
from distill.config import DistillConfig
from distill.loop import distill
from distill.opinion import label_given_votes, with_opinion
from edge_runtime.errors import DataError, UsageError
from edge_runtime.scoring.datasets import read_faces
from edge_runtime.scoring.ferplus import OPINIONS


def test_votes_tell_the_label() -> None:
    """Votes that follow the label name it; where a label is a slip they name what others with such votes have."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 700)
    votes = np.eye(8, dtype=np.float32)[labels]
    given = np.where(np.arange(700) < 35, (labels + 1) % 7, labels)
    said = label_given_votes(votes, given, 0)
    assert said.shape == (700, 7)
    assert (said.argmax(1) == labels).all()
    assert said.min() > 0


def test_a_face_s_own_label_has_no_part() -> None:
    """Votes that have nothing to do with the labels tell no face's own, though all of them are different."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 700)
    said = label_given_votes(random.dirichlet(np.ones(8), 700).astype(np.float32), labels, 0)
    assert said[np.arange(700), labels].mean() < 0.2


def test_the_product_is_that_of_softened_logits() -> None:
    """Softened probabilities times a power w / T of the votes' are the softmax of (logits + w · log said) / T."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 7, generator=random)
    said = torch.softmax(torch.randn(5, 7, generator=random), -1)
    product = with_opinion(torch.softmax(logits / 2, -1).half(), said.numpy(), power=0.6, temperature=2)
    assert product.dtype == torch.float16
    assert torch.allclose(product.float(), torch.softmax((logits + 0.6 * said.log()) / 2, -1), atol=1e-3)
    sharp = with_opinion(torch.eye(7).half()[None], np.full((7, 7), 1e-3, np.float32), power=40, temperature=0.25)
    assert torch.equal(sharp[0], torch.eye(7).half())  # what is impossible stays so, and nothing is 0 / 0


OPINION_OF = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def test_a_distillation_hears_the_votes(
    toy_teacher: Path, small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taught is the table times what the votes of the same faces say; without them an error says so."""
    faces = read_faces(small_csv, "Training")
    file = tmp_path / "fer2013new.csv"
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["Usage", *OPINIONS])
        rows.writerows(
            ["Training", *(10 * np.eye(8, dtype=int)[OPINIONS.index(OPINION_OF[label])])] for label in faces.labels
        )
    options = DistillConfig(
        data=small_csv, out=tmp_path / "run", teachers=(toy_teacher,), views=1, epochs=1, batch=24, precision="fp32"
    )
    taught = []
    fit = loop.fit

    def heard(objective: loop.DistillObjective, *rest: object) -> torch.nn.Module:
        taught.append(objective.targets)
        return fit(objective, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "fit", heard)
    distill(options)
    distill(dataclasses.replace(options, out=tmp_path / "heard", ferplus=file, ferplus_power=4.0))
    right = torch.arange(len(faces)), torch.from_numpy(faces.labels)
    assert (taught[1][0][right] > taught[0][0][right]).all()
    monkeypatch.delenv("FER_EDGE_FERPLUS", raising=False)
    with pytest.raises(UsageError, match="--ferplus PATH or FER_EDGE_FERPLUS"):
        distill(dataclasses.replace(options, out=tmp_path / "none", ferplus_power=0.5))
    with pytest.raises(UsageError, match="--ferplus-power"):
        dataclasses.replace(options, ferplus=file)


def test_too_few_faces_of_an_emotion_are_one_error() -> None:
    """A fifth of four faces is none."""
    labels = np.repeat(np.arange(7), [4, 9, 9, 9, 9, 9, 9])
    with pytest.raises(DataError, match="expected at least 5 Training faces of each, got 4"):
        label_given_votes(np.eye(8, dtype=np.float32)[labels], labels, 0)
