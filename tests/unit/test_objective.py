"""What the full model minimises, against the formulas written out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edge_runtime.emotions.normalise import MEAN, STD
from edge_runtime.scoring.datasets import FaceSet, read_faces
from train import objective as objectives
from train.config import ModelConfig, TrainConfig
from train.loop import fit
from train.model import FullModel
from train.objective import EmotionObjective
from train.parallel import Team

SHAPE = ModelConfig(widths=(8, 8, 16), blocks=(1, 1, 1), context_width=16, autoencoder_width=8)


def config(out: Path, data: Path, **others: Any) -> TrainConfig:
    """Return a run of one epoch."""
    return TrainConfig(data=data, out=out, epochs=1, batch=24, precision="fp32", model=SHAPE, **others)


def uneven(path: Path) -> FaceSet:
    """Return Training faces of which one emotion is rarer."""
    faces = read_faces(path, "Training")
    keep = (faces.labels != 1) | (faces.labels.cumsum() % 2 == 0)
    return FaceSet(images=faces.images[keep], labels=faces.labels[keep], split="Training", sha256=faces.sha256)


def test_class_weights_lift_rare_emotions(small_csv: Path, tmp_path: Path) -> None:
    """A rarer emotion weighs more, by the power asked for."""
    faces = uneven(small_csv)
    weights = EmotionObjective(FullModel(SHAPE), faces, config(tmp_path, small_csv)).class_weights
    counts = torch.bincount(torch.from_numpy(faces.labels))
    assert weights[1] / weights[0] == pytest.approx(float(counts[0] / counts[1]) ** 0.25, rel=1e-4)


def test_votes_teach_a_head_that_is_not_kept(small_csv: Path, tmp_path: Path) -> None:
    """With FER+ votes there is a third part of the loss, its head learns, and the model has no trace of it."""
    faces = read_faces(small_csv, "Training")
    votes = torch.zeros(len(faces), 8)
    votes[:, 3] = 1
    options = config(tmp_path, small_csv, ferplus_weight=0.5)
    objective = EmotionObjective(FullModel(SHAPE), faces, options, votes)
    before = objective.second_opinion.weight.clone()
    averaged = fit(objective, faces, read_faces(small_csv, "PublicTest"), options, Team())
    assert not torch.equal(objective.second_opinion.weight, before)
    assert averaged.state_dict().keys() == FullModel(SHAPE).state_dict().keys()
    with (tmp_path / "curves.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["ferplus"]) > 0


@pytest.mark.parametrize("ferplus_weight", [0.5, 1.0])
def test_blended_faces_have_blended_labels_and_votes(
    small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ferplus_weight: float
) -> None:
    """Three quarters of each face are its own: so much of the loss is its label's, weighted and smoothed."""
    faces, index = uneven(small_csv), torch.arange(3, 27)
    partner = index.flip(0) - index.min()
    monkeypatch.setattr(objectives, "mixture", lambda *_: torch.full((48, 48), 0.75))
    monkeypatch.setattr(objectives, "partners", lambda *_: partner)
    votes = torch.softmax(torch.randn(len(faces), 8, generator=torch.Generator().manual_seed(0)), dim=1)
    options = config(
        tmp_path, small_csv, ferplus_weight=ferplus_weight, label_smoothing=0.2, class_weight_power=1.0, corrupt_share=0
    )
    objective = EmotionObjective(FullModel(SHAPE), faces, options, votes).eval()
    objective.begin_epoch(0, 0)
    parts = objective(index)
    view, labels = objective.see(index), torch.from_numpy(faces.labels)[index]
    embedded = objective.model.embed((0.75 * view + 0.25 * view[partner] - MEAN) / STD)
    logits, weights = objective.model.classify(embedded), objective.class_weights

    def entropy(labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, weights, label_smoothing=0.2)

    torch.testing.assert_close(parts["emotion"], 0.75 * entropy(labels) + 0.25 * entropy(labels[partner]))
    said = 0.75 * votes[index] + 0.25 * votes[index][partner]
    expected = ferplus_weight * F.cross_entropy(objective.second_opinion(embedded), said)
    torch.testing.assert_close(parts["ferplus"], expected)


def test_a_share_of_the_faces_is_corrupted(small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a step's: these the model sees as a bad camera shows them, the others as they are."""
    seen: list[Tensor] = []
    monkeypatch.setattr(objectives, "corrupt", lambda faces, _: torch.full_like(faces, 2.0))
    model = FullModel(SHAPE).eval()
    embed = model.embed
    monkeypatch.setattr(model, "embed", lambda faces: seen.append(faces * STD + MEAN) or embed(faces))
    options = config(tmp_path, small_csv, corrupt_share=0.25, mixup_share=0, cutmix_share=0)
    objective = EmotionObjective(model, read_faces(small_csv, "Training"), options).eval()
    objective.begin_epoch(0, 0)
    index = torch.arange(24)
    objective(index)
    bad, good = seen[0].split([6, 18])
    torch.testing.assert_close(bad, torch.full_like(bad, 2.0))
    torch.testing.assert_close(good, objective.see(index)[6:])
