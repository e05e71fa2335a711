"""One step of learning, and the average of the weights that it leaves.

A GPU runs the kernels of a step several times faster than Python launches them: there the first step of an epoch is
taken as it stands, the second is recorded (CUDA graphs) and the others replay it. So nothing on the way of a step may
wait for the device, or copy from the host.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from train.config import FitConfig
from train.objective import Objective
from train.precision import autocast

Losses = dict[str, Tensor]


class AveragedWeights(nn.Module):
    """Exponential average over the steps, of weights and of batch norm's statistics.

    It starts short and grows to ``decay``, so that early epochs are not mostly noise. torch's own ``AveragedModel``
    reads its count of steps on the host, which a recorded step cannot.
    """

    steps: Tensor

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with a copy of ``model``, which the first step replaces."""
        super().__init__()
        self.model, self.decay = copy.deepcopy(model), decay
        self.register_buffer("steps", torch.zeros((), dtype=torch.long, device=next(model.parameters()).device))

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Take in the weights that a step has left."""
        # on the device, not on the host: a recorded step counts as well
        change = 1 - ((self.steps + 1) / (self.steps + 10)).clamp(max=self.decay) * (self.steps > 0)
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        averaged, current = [a for a, _ in floats], [b for _, b in floats]
        difference = torch._foreach_sub(current, averaged)  # noqa: SLF001  (a loop over them costs milliseconds)
        torch._foreach_mul_(difference, change)
        torch._foreach_add_(averaged, difference)
        for counter, now in (pair for pair in pairs if not pair[0].is_floating_point()):  # batch norm's, of steps
            counter.copy_(now)
        self.steps += 1


def take_step(
    learner: nn.Module,
    objective: Objective,
    averaged: AveragedWeights,
    optimiser: torch.optim.Optimizer,
    config: FitConfig,
    index: Tensor,
) -> Losses:
    """Learn from the faces ``index`` int64 (n,); return the parts of their loss, each a scalar.

    ``learner``: the objective, or what averages its gradients over several processes.
    """
    with autocast(config):
        parts: Losses = learner(index)
    optimiser.zero_grad()
    torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    averaged.follow(objective.model)
    return {name: value.detach() for name, value in parts.items()}


class RecordedStep:
    """A step whose kernels the GPU launches itself: recorded once for faces like ``index``, replayed for others."""

    def __init__(self, step: Callable[[Tensor], Losses], index: Tensor, generator: torch.Generator) -> None:
        """Record ``step``, which has been taken before, without learning from it; ``generator``: what it draws from."""
        self.index, self.graph = index.clone(), torch.cuda.CUDAGraph()
        self.graph.register_generator_state(generator)
        with torch.cuda.graph(self.graph):
            self.losses = step(self.index)

    def __call__(self, index: Tensor) -> Losses:
        """Take the step for the faces ``index`` int64, as many as were recorded."""
        self.index.copy_(index)
        self.graph.replay()
        return self.losses
