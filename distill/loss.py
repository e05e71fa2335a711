"""The distillation loss (Hinton, Vinyals & Dean 2015): the teachers' softened probabilities, and the labels.

And the one of what they make of a face before they name it (hints, Romero et al. 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def distillation_loss(
    logits: Tensor, targets: Tensor, labels: Tensor, *, temperature: float, label_weight: float
) -> dict[str, Tensor]:
    """Return the two weighted parts, each a scalar.

    ``logits`` float32 (n, 7): the student's. ``targets`` (n, 7): probabilities softened by ``temperature``.
    ``labels`` float32 (n, 7): the labels' probabilities, one-hot where faces are not blended.
    The Kullback-Leibler divergence is summed over classes and averaged over faces, and multiplied by temperature²,
    which keeps its gradient comparable to the labels' at every temperature.
    """
    softened = torch.log_softmax(logits / temperature, dim=-1)
    divergence = F.kl_div(softened, targets.float(), reduction="batchmean") * temperature**2
    return {"teacher": (1 - label_weight) * divergence, "label": label_weight * F.cross_entropy(logits, labels)}


def feature_loss(own: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean of 1 - cosine of the angle between vectors float32 (n, d) and those of the teacher: a scalar."""
    return 1 - F.cosine_similarity(own, teacher, dim=-1).mean()
