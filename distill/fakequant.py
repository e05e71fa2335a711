"""Quantisation-aware fine-tuning: the student computes nearly as int8 engines will, and learns to be right so.

Own, because none of the converters' kinds reaches all three formats. What is learnt stays an ordinary student: weights
move to where rounding hurts least, and the export quantises them as any other's. The gradient passes through rounding
as if it were not there (Bengio et al. 2013), and stops where a value is clipped.

Batch norm need not be folded into the weights first (Jacob et al. 2018): it scales a convolution's output channel by
channel, and so does the grid of its weights, hence both give the same integers. Not simulated: the attention's tanh and
softmax inside, which TFLite rounds too, and each converter's own choice of an activation's range.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from distill.student import SeparableBlock
from train.model import BiLSTM, ResidualBlock, SoftAttention

_RANGE_STEP = 0.01
_WEIGHT_LIMIT = 64  # of the ONNX files, which a processor without VNNI must not overflow; the other engines' is 127
_STORED = (ResidualBlock, SeparableBlock, BiLSTM, nn.Linear, SoftAttention)
"""Modules whose output is a tensor of its own in an int8 engine; so is that of a convolution with what follows it."""


class WeightGrid(nn.Module):
    """Weights to their nearest integers of the coarsest engine: symmetric, a scale for each output channel."""

    on = True

    def forward(self, weight: Tensor) -> Tensor:
        """Round weights (out, …); the shape stays."""
        if not self.on:
            return weight
        scale = weight.detach().abs().flatten(1).amax(1).clamp(min=1e-8) / _WEIGHT_LIMIT
        zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -_WEIGHT_LIMIT, _WEIGHT_LIMIT)


class ActivationGrid(nn.Module):
    """Activations to 256 values between averages of a step's least and greatest one; both are part of the state."""

    on = True
    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        """Start with no range; the first step sets it."""
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Round ``x`` of any shape; in training, move the range towards its own first."""
        if not self.on:
            return x
        if self.training:
            step = _RANGE_STEP if self.high > self.low else 1.0
            low, high = x.detach().float().aminmax()
            self.low.lerp_(low.clamp(max=0), step)  # zero is always one of the values
            self.high.lerp_(high.clamp(min=0), step)
        scale = ((self.high - self.low) / 255).clamp(min=1e-8)
        zero = (-self.low / scale).round().int()
        return torch.fake_quantize_per_tensor_affine(x.float(), scale, zero, 0, 255).to(x.dtype)

    # Bound methods, and no closures, as hooks: a copy of the network must use its own grids.
    def before(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Round what a module reads."""
        return (self(inputs[0]), *inputs[1:])

    def after(self, _: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Round what a module hands on."""
        rounded: Tensor = self(output)
        return rounded


def simulate_int8(student: nn.Module) -> None:
    """Round, from now on, a student's input, its weights, and its activations where an engine stores them as int8.

    An engine computes a convolution, its batch norm and its ReLU in one; a BiLSTM stays in floating point.
    """
    student.grid = ActivationGrid()
    student.register_forward_pre_hook(student.grid.before)
    for module in [*student.modules()]:
        if isinstance(module, nn.Conv2d | nn.Linear):
            parametrize.register_parametrization(module, "weight", WeightGrid())
        if isinstance(module, _STORED) or (isinstance(module, nn.Sequential) and isinstance(module[0], nn.Conv2d)):
            module.grid = ActivationGrid()
            module.register_forward_hook(module.grid.after)


def learnt_weights(student: nn.Module) -> dict[str, Tensor]:
    """Return the state of the plain student inside one that was made to simulate int8."""
    state = {name.replace("parametrizations.weight.original", "weight"): v for name, v in student.state_dict().items()}
    return {name: value for name, value in state.items() if not name.rpartition(".")[0].endswith("grid")}
