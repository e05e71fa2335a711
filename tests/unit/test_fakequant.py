"""Quantisation-aware fine-tuning: the grids, where they lie, and the plain student that comes out."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from distill.config import DistillConfig, StudentConfig
from distill.fakequant import ActivationGrid, WeightGrid, learnt_weights, simulate_int8
from distill.loop import distill
from distill.networks import load_network
from distill.student import Student
from edge_runtime.errors import UsageError
from train.checkpoint import load_meta

SMALL = StudentConfig(widths=(4, 8), blocks=(1, 2), dense_stages=1, context="bilstm", context_width=8)


def test_weights_are_rounded_channel_by_channel() -> None:
    """Each channel has at most 129 values, multiples of its greatest weight / 64, none further than half a step."""
    weight = torch.randn(3, 5, 3, 3) * torch.tensor([1.0, 100.0, 0.01]).view(3, 1, 1, 1)
    rounded = WeightGrid()(weight)
    for before, after in zip(weight, rounded, strict=True):
        step = before.abs().max() / 64
        assert (after - before).abs().max() <= 0.501 * step
        assert torch.allclose(after / step, (after / step).round(), atol=1e-3)


def test_the_grid_of_weights_is_the_same_before_and_after_batch_norm_is_folded() -> None:
    """Scaling an output channel, also by a negative number, scales its rounded weights: no folding is needed."""
    weight, scale = torch.randn(4, 3, 3, 3), torch.tensor([0.3, -2.0, 50.0, -0.01]).view(4, 1, 1, 1)
    assert torch.allclose(WeightGrid()(weight * scale), WeightGrid()(weight) * scale, rtol=1e-4, atol=1e-6)


def test_activations_get_256_values_in_the_range_that_was_seen() -> None:
    """In evaluation the range stays: values in it are rounded to its 255th part, those beyond are clipped."""
    grid = ActivationGrid()
    grid(torch.tensor([-1.0, 3.0]))
    x = torch.linspace(-2, 4, 1000)
    y = grid.eval()(x)
    assert len(y.unique()) == 256
    assert (y - x.clamp(-1, 3)).abs().max() <= 0.51 * 4 / 255
    assert (y == 0).any()


def test_the_range_follows_slowly_and_gradients_pass() -> None:
    """One odd step widens the range by a hundredth; the gradient is one inside it and zero where values are clipped."""
    grid = ActivationGrid()
    grid(torch.tensor([0.0, 1.0]))
    x = torch.tensor([0.5, 101.0], requires_grad=True)
    grid(x).sum().backward()
    assert grid.high.item() == pytest.approx(2.0)
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.0]


def test_a_simulated_student_is_near_the_plain_one_and_its_copy_stands_alone() -> None:
    """Rounding moves logits a little; a copy's ranges are its own; the plain weights come out as they went in."""
    torch.manual_seed(0)
    plain, faces = Student(SMALL).eval(), torch.randn(16, 1, 48, 48)
    simulated = copy.deepcopy(plain)
    simulate_int8(simulated)
    assert {
        name: value
        for name, value in learnt_weights(simulated).items()
        if not torch.equal(value, plain.state_dict()[name])
    } == {}
    assert learnt_weights(simulated).keys() == plain.state_dict().keys()
    for module in simulated.modules():
        module.train(isinstance(module, ActivationGrid))
    simulated(faces)
    simulated.eval()
    difference = (simulated(faces) - plain(faces)).abs().max()
    assert 0 < difference < 0.1 * plain(faces).abs().max()
    twin = copy.deepcopy(simulated)
    for module in twin.modules():
        if isinstance(module, ActivationGrid):
            module.high.fill_(1e-3)
    assert not torch.allclose(twin(faces), simulated(faces), atol=1e-3)


def test_every_tensor_that_an_engine_stores_is_rounded() -> None:
    """What a unit, block, linear layer, context or attention hands on, and the input, has at most 256 values."""
    model = Student(SMALL)
    simulate_int8(model)
    rounded = [module for module in model.modules() if hasattr(module, "grid")]
    units = [m for m in model.modules() if isinstance(m, nn.Sequential) and isinstance(m[0], nn.Conv2d)]
    assert all(hasattr(unit, "grid") for unit in units)
    assert len(rounded) == len(units) + 3 + 3 + 3  # blocks; linear layers; context, attention, the whole
    seen = {}
    for module in rounded:
        module.register_forward_hook(lambda m, _, output: seen.__setitem__(m, len(output.unique())))
    model(torch.randn(16, 1, 48, 48))
    assert max(seen.values()) <= 256


def test_a_finished_student_is_fine_tuned_and_stays_one(
    toy_student: Path, toy_teacher: Path, small_csv: Path, tmp_path: Path
) -> None:
    """The result loads as the same plain student with other weights; its name is kept; a full model is refused."""
    options = DistillConfig(
        data=small_csv, out=tmp_path, teachers=(toy_teacher,), views=2, epochs=1, batch=24, learning_rate=1e-3,
        quantise_from=toy_student,
    )  # fmt: skip
    for other in ({"network": "student-nano"}, {"student": SMALL}):
        with pytest.raises(UsageError, match="expected no network and no shape beside --quantise-from"):
            distill(dataclasses.replace(options, **other))
    with pytest.raises(UsageError, match="--precision is out of range: expected auto or fp32 beside --quantise-from"):
        dataclasses.replace(options, precision="bf16")
    distill(options)
    assert load_meta(tmp_path)["config"]["precision"] == "fp32"
    before, after = load_network(toy_student), load_network(tmp_path)
    assert before.state_dict().keys() == after.state_dict().keys()
    assert not torch.equal(before.classify.weight, after.classify.weight)
    assert load_meta(tmp_path)["config"]["network"] == load_meta(toy_student)["config"]["network"]
    with pytest.raises(UsageError, match="--quantise-from"):
        dataclasses.replace(options, network="full")
    moved = shutil.copytree(toy_student, tmp_path / "moved")
    distill(dataclasses.replace(options, quantise_from=moved, epochs=2))  # the checkpoint knows what it began with
    with pytest.raises(UsageError, match="expected the same options, got quantise_from None instead of"):
        distill(dataclasses.replace(options, quantise_from=None, student=SMALL, epochs=2))
