"""The full model and the student: shapes, parts, and what each part promises."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from distill.config import NANO, StudentConfig
from distill.student import SeparableBlock, Student
from edge_runtime.errors import UsageError
from train.config import ModelConfig
from train.loop import macs
from train.model import Autoencoder, Backbone, FullModel, SoftAttention

SMALL = ModelConfig(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), context_width=16, autoencoder_width=8)


def test_full_model_maps_faces_to_seven_logits() -> None:
    """Any number of faces gives as many rows of seven finite logits."""
    model = FullModel(SMALL).eval()
    for n in (1, 3):
        logits = model(torch.randn(n, 1, 48, 48))
        assert logits.shape == (n, 7)
        assert torch.isfinite(logits).all()


def test_the_parts_of_the_paper_are_all_used() -> None:
    """A gradient of the logits reaches the autoencoder, the backbone, both LSTM directions and the attention."""
    model = FullModel(SMALL).requires_grad_()  # the autoencoder asks for none, for it learns before the others
    with torch.no_grad():  # its last layer starts at zero; the layers before it get a gradient from the first step on
        model.autoencoder.difference.weight.normal_(std=0.1)
    model(torch.randn(4, 1, 48, 48)).square().sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("context", ["bilstm", "transformer", "none"])
@pytest.mark.parametrize("autoencoder", [True, False])
def test_each_part_can_be_left_out_or_exchanged(context: str, *, autoencoder: bool, attention: bool) -> None:
    """Every combination maps faces to logits, trains all but the autoencoder, and has nothing of what is left out."""
    shape = dataclasses.replace(SMALL, autoencoder=autoencoder, context=context, attention=attention)
    model = FullModel(shape)
    model(torch.randn(4, 1, 48, 48)).square().sum().backward()
    learnt = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert learnt == {name for name, _ in model.named_parameters() if not name.startswith("autoencoder.")}
    parts = {name.partition(".")[0] for name, _ in model.named_parameters()}
    asked = {"autoencoder": autoencoder, "context": context != "none", "attention": attention}
    assert parts == {"backbone", "classify", *(name for name, on in asked.items() if on)}


def test_without_attention_positions_count_alike() -> None:
    """The mean over positions does not depend on their order."""
    model = FullModel(dataclasses.replace(SMALL, context="none", attention=False)).eval()
    states = torch.randn(2, 9, 16)
    assert torch.allclose(model.attention(states), model.attention(states.flip(1)), atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "flag"),
    [
        ({"blocks": (1, 1)}, "--blocks"),
        ({"stem_stride": 3}, "--stem-stride"),
        ({"widths": (8,) * 5, "blocks": (1,) * 5}, "--widths"),
        ({"widths": (8, 8, 16, 0)}, "--widths"),
        ({"context_width": 15}, "--context-width"),
        ({"context": "transformer", "context_width": 6}, "--context-width"),
        ({"dropout": 1.0}, "--dropout"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused(wrong: dict[str, Any], flag: str) -> None:
    """A contradiction between options ends in one usage error that names the flag."""
    with pytest.raises(UsageError, match=f"{flag} is out of range"):
        dataclasses.replace(SMALL, **wrong)


def test_an_untrained_autoencoder_keeps_the_face() -> None:
    """It starts as the identity, up to the bias of its last layer, and stays in [0, 1]."""
    autoencoder = Autoencoder(8).eval()
    faces = torch.rand(2, 1, 48, 48)
    restored = autoencoder(faces)
    assert (restored - faces).abs().max() < 0.2
    assert 0 <= restored.min() <= restored.max() <= 1


def test_backbone_halves_the_map_in_each_stage_but_the_first() -> None:
    """Four stages reduce 48×48 to 6×6, and behind a stem of stride 2 to 3×3."""
    for stride, side in ((1, 6), (2, 3)):
        backbone = Backbone((8, 8, 16, 16), (1, 1, 1, 1), stem_stride=stride).eval()
        assert backbone(torch.randn(2, 1, 48, 48)).shape == (2, 16, side, side)


def test_attention_weighs_positions() -> None:
    """Weights are positive and sum to one, the context is their weighted sum, and equal states get equal weights."""
    attention = SoftAttention(6)
    states = torch.randn(3, 9, 6)
    weights = attention.weights(states)
    assert weights.shape == (3, 9)
    assert torch.allclose(weights.sum(1), torch.ones(3))
    assert (weights > 0).all()
    assert torch.allclose(attention(states), (weights.unsqueeze(-1) * states).sum(1), atol=1e-6)
    assert torch.allclose(attention.weights(torch.ones(1, 9, 6)), torch.full((1, 9), 1 / 9))


STUDENTS = {
    "default": StudentConfig(),
    "nano": NANO,
    "separable": StudentConfig(dense_stages=1, widths=(8, 16, 16, 24), blocks=(1, 1, 1, 1)),
    "recurrent": StudentConfig(context="bilstm", context_width=10, widths=(8, 16), blocks=(1, 1)),
}


@pytest.mark.parametrize("shape", ["full", *STUDENTS])
def test_a_face_does_not_see_its_neighbours(shape: str) -> None:
    """In evaluation mode a face's logits are the same alone and in a batch."""
    faces = torch.randn(5, 1, 48, 48)
    model = FullModel(SMALL).eval() if shape == "full" else Student(STUDENTS[shape]).eval()
    alone = torch.cat([model(face[None]) for face in faces])
    assert alone.shape == (5, 7)
    assert torch.allclose(model(faces), alone, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "parameters", "multiplications"), [(StudentConfig(), 500_000, 23e6), (NANO, 60_000, 7e6)]
)
def test_students_are_small(config: StudentConfig, parameters: int, multiplications: float) -> None:
    """The shipped shapes keep to what a board can afford: half a megabyte, and sixty thousand weights."""
    model = Student(config)
    assert sum(p.numel() for p in model.parameters()) < parameters
    assert macs(model) < multiplications


def test_a_separable_block_adds_to_what_it_reads() -> None:
    """Where the shape stays, a block whose last layer is silent hands on its input; where it changes, nothing."""
    x = torch.randn(2, 6, 8, 8)
    for block, expected in (
        (SeparableBlock(6, 6, 1, expansion=2), x),
        (SeparableBlock(6, 9, 2, expansion=2), torch.zeros(2, 9, 4, 4)),
    ):
        nn.init.zeros_(block.layers[-1][0].weight)
        assert torch.equal(block.eval()(x), expected)
