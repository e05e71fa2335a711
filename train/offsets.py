"""Bias correction of a trained classifier: each emotion is named as often as its faces and labels ask for.

Class weights, smoothed labels and blended faces move what a network expects of the rare emotions and the common ones;
seven numbers that are added to its logits move it back. They are fitted together with a temperature on the Training
faces (bias-corrected temperature scaling, Alexandari, Kundaje & Shrikumar 2020), and kept in the classifier's own bias,
so that no file and no engine knows of them. The temperature is not kept: an export fits its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge_runtime.scoring.datasets import FaceSet
from train.evaluate import predict

_LEAST_SHARPNESS = 0.1
"""Logits that have to be flattened tenfold before they fit the labels tell next to nothing of them."""

_RIDGE = 1e-4  # on the squares of what is fitted: an emotion without a face would be moved without end


def correct_bias(model: nn.Module, training: FaceSet) -> None:
    """Add to the bias of ``model``'s last linear layer, whose outputs are the logits, what ``fit_offsets`` finds."""
    logits = torch.from_numpy(predict(model, training.images, "bias correction"))
    offsets = fit_offsets(logits, torch.from_numpy(training.labels))
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.bias.add_(offsets.to(last.bias))


def fit_offsets(logits: Tensor, labels: Tensor) -> Tensor:
    """Return float64 (7,), of mean 0: added to ``logits`` (n, 7) they make ``labels`` int64 (n,) likeliest.

    At the best temperature, which is fitted with them. The sum of both is convex, so the minimum is the only one. All
    are 0 where the logits tell next to nothing of the labels, as after a run that was much too short: what makes those
    likelier is to name the commonest emotion always.
    """
    logits = logits.double()
    sharpness, biases = torch.ones((), dtype=torch.float64), torch.zeros(logits.shape[1], dtype=torch.float64)
    fitted = [sharpness.requires_grad_(), biases.requires_grad_()]
    optimiser = torch.optim.LBFGS(fitted, max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        entropy = nn.functional.cross_entropy(sharpness * logits + biases, labels)
        total: Tensor = entropy + _RIDGE * ((sharpness - 1) ** 2 + biases.square().sum())
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    if sharpness < _LEAST_SHARPNESS:
        return torch.zeros_like(biases).detach()
    offsets = (biases / sharpness).detach()
    return offsets - offsets.mean()
