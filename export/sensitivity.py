"""What int8 costs layer by layer: each is quantised alone, all others stay in floating point."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from distill.fakequant import ActivationGrid, WeightGrid, simulate_int8
from edge_runtime.scoring.datasets import FaceSet
from export import parity
from train.evaluate import predict
from train.model import BiLSTM


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A layer's weights and output at int8 alone: points of accuracy lost (%), and agreement with the float model."""

    layer: str
    lost: float
    top1_agreement: float
    max_abs_diff: float


def sensitivity(model: nn.Module, calibration: NDArray[np.float32], public: FaceSet) -> list[Cost]:
    """Measure each layer of a student on ``public``, dearest first.

    ``calibration`` float32 (n, 1, 48, 48): faces whose activations set the ranges, as they do for the artefacts. The
    arithmetic is simulated in torch, which tells layers apart; the artefacts' own figures are their engines'.
    """
    simulated = copy.deepcopy(model).eval()
    simulate_int8(simulated)
    grids = [part for part in simulated.modules() if isinstance(part, ActivationGrid | WeightGrid)]
    for grid in grids:
        grid.train(isinstance(grid, ActivationGrid))
        grid.on = False
    layers = {name or "input": part for name, part in simulated.named_modules() if hasattr(part, "grid")}
    with torch.inference_mode():
        for layer in layers.values():
            layer.grid.on = True  # a range is set by what the float model hands on: one at a time
            simulated(torch.from_numpy(calibration))
            layer.grid.on = False
    simulated.eval()
    reference = predict(model, public.images)
    right = (reference.argmax(1) == public.labels).mean()
    costs = []
    for name, layer in tqdm(layers.items(), "layers", unit="layer", leave=False):
        inner = [*layer.modules()][1:]
        composed = any(hasattr(part, "grid") for part in inner)  # of layers with rows of their own
        own = [layer.grid] if composed else [part for part in inner if isinstance(part, ActivationGrid | WeightGrid)]
        for grid in own:
            grid.on = True
        logits = predict(simulated, public.images)
        for grid in own:
            grid.on = False
        close = parity.compare(reference, logits)
        lost = 100 * float(right - (logits.argmax(1) == public.labels).mean())
        costs.append(Cost(layer=name, lost=lost, top1_agreement=close.top1_agreement, max_abs_diff=close.max_abs_diff))
    return sorted(costs, key=lambda cost: cost.top1_agreement)


def report(costs: list[Cost], model: nn.Module) -> str:
    """Lay the costs out for people, and say what stays in floating point."""
    lines = [f"{'layer quantised alone':<40}{'points lost':>12}{'agreement':>11}{'max diff':>10}"]
    lines += [f"{c.layer:<40}{c.lost:>12.2f}{c.top1_agreement:>11.4f}{c.max_abs_diff:>10.2g}" for c in costs]
    recurrent = [name for name, part in model.named_modules() if isinstance(part, BiLSTM)]
    why = "the engines' LSTM operators lose more in int8 than they gain (ONNX, OpenVINO; TFLite's chain is int8)"
    lines.append(
        f"kept in floating point: {', '.join(recurrent)}: {why}" if recurrent else "kept in floating point: none"
    )
    return "\n".join(lines)
