"""One step: the average of the weights, and a recorded step that is the step."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from edge_runtime.scoring.datasets import read_faces
from train.config import ModelConfig, TrainConfig
from train.loop import learn, make_optimiser
from train.model import FullModel
from train.objective import EmotionObjective
from train.parallel import Team
from train.step import AveragedWeights


def test_the_average_starts_short_and_counts_exactly() -> None:
    """The first step replaces the weights, early averages follow them, later ones decay as asked."""
    model = nn.BatchNorm1d(3)
    averaged = AveragedWeights(model, 0.9)

    def after(weight: float, steps: int, counter: int) -> float:
        averaged.steps.fill_(steps)
        nn.init.constant_(model.weight, weight)
        model.num_batches_tracked.fill_(counter)
        averaged.follow(model)
        assert averaged.model.num_batches_tracked.item() == counter
        assert averaged.steps.item() == steps + 1
        return float(averaged.model.weight[0])

    assert after(5.0, 0, 1) == pytest.approx(5.0)
    assert after(4.0, 1, 2) == pytest.approx(5 * 2 / 11 + 4 * 9 / 11)
    assert after(0.0, 1_000, 3) == pytest.approx(0.9 * (5 * 2 / 11 + 4 * 9 / 11))


def test_batch_norm_s_statistics_are_averaged_too() -> None:
    """What the averaged weights meet in evaluation is of their own time."""
    model = nn.BatchNorm1d(2)
    averaged = AveragedWeights(model, 0.5)
    averaged.steps.fill_(1_000)
    model.running_mean.fill_(8.0)
    averaged.follow(model)
    assert averaged.model.running_mean.tolist() == pytest.approx([4.0, 4.0])


@pytest.mark.hardware
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that records its kernels")
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_recorded_steps_are_steps(
    small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimiser: str
) -> None:
    """Two epochs of recorded steps end where the same steps end when they are launched one by one."""
    shape = ModelConfig(widths=(8, 8, 16), blocks=(1, 1, 1), context_width=16, autoencoder_width=8, dropout=0)
    options = TrainConfig(
        data=small_csv, out=tmp_path, epochs=2, batch=24, device="cuda", precision="fp32", model=shape
    )
    options = dataclasses.replace(options, optimiser=optimiser, learning_rate=1e-3, mixup_share=0.4, cutmix_share=0.4)
    faces = read_faces(small_csv, "Training")

    def weights() -> tuple[dict[str, float], nn.Module]:
        torch.manual_seed(0)
        objective = EmotionObjective(FullModel(shape), faces, options).cuda()
        averaged = AveragedWeights(objective.model, options.ema_decay)
        learner = make_optimiser(objective, options)
        losses = [learn(objective, objective, averaged, learner, len(faces), e, options, Team()) for e in range(2)]
        return losses[-1], averaged.model

    recorded = weights()
    monkeypatch.setattr("train.loop.RecordedStep", lambda step, _, __: partial(step))
    launched = weights()
    assert recorded[0] == pytest.approx(launched[0], rel=1e-3)
    for (name, a), b in zip(recorded[1].state_dict().items(), launched[1].state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3, msg=name)
