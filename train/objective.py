"""What training runs minimise: the protocol, and the full model's two aims."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from edge_runtime.emotions.normalise import MEAN, STD
from edge_runtime.scoring.datasets import FaceSet
from train.augment import Augmentation, apply_view, draw_view
from train.config import TrainConfig
from train.corruptions import corrupt
from train.model import FullModel


class Objective(Protocol):
    """What a run minimises."""

    def begin_epoch(self, epoch: int) -> None:
        """Draw what is random about this epoch."""

    def __call__(self, model: nn.Module, index: Tensor) -> dict[str, Tensor]:
        """Loss parts, each a scalar, of the faces ``index`` int64 (n,); their sum is minimised."""


class EmotionObjective:
    """Class-weighted cross entropy of the emotion, and squared error of the restored face (the paper's two aims)."""

    def __init__(self, faces: FaceSet, config: TrainConfig) -> None:
        """Keep the faces on the device and weigh the classes by their frequency."""
        self.config = config
        self.images = torch.from_numpy(faces.images).to(config.device)
        self.labels = torch.from_numpy(faces.labels).to(config.device)
        frequency = torch.bincount(self.labels, minlength=7).clamp(min=1) / len(faces)
        # only their ratios count: cross_entropy divides by the sum of the batch's weights
        self.class_weights = frequency**-config.class_weight_power

    def begin_epoch(self, epoch: int) -> None:
        """Draw the epoch's view of every face."""
        self.view = draw_view(len(self.labels), self.config.seed, epoch, Augmentation()).to(self.config.device)
        self.generator = torch.Generator(self.config.device).manual_seed(self.config.seed * 1_000_003 + epoch)

    def __call__(self, model: nn.Module, index: Tensor) -> dict[str, Tensor]:
        """Loss parts of the faces ``index``."""
        labels = self.labels[index]
        with torch.autocast(self.config.device, enabled=False):
            view = apply_view(self.images[index], self.view[index])
            share, partner = self._mixture(len(index))
            clean = share * view + (1 - share) * view[partner]
        logits, error = restore_and_read(model, clean, self.config.corrupt_share, self.generator)
        emotion = share * self._entropy(logits, labels) + (1 - share) * self._entropy(logits, labels[partner])
        return {"emotion": emotion, "restore": self.config.restore_weight * error}

    def _mixture(self, n: int) -> tuple[Tensor, Tensor]:
        """Draw a step's mixup: the faces' own share, in [0.5, 1] (1 mixes nothing), and each one's partner."""
        draws = torch.rand(2, generator=self.generator, device=self.config.device)
        own = torch.where(draws[0] < self.config.mixup_share, 0.5 + 0.5 * draws[1], torch.ones_like(draws[1]))
        return own, torch.randperm(n, generator=self.generator, device=self.config.device)

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        smoothing = self.config.label_smoothing
        return nn.functional.cross_entropy(logits, labels, self.class_weights, label_smoothing=smoothing)


def restore_and_read(
    model: nn.Module, clean: Tensor, corrupt_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Corrupt a share of the clean faces (n, 1, 48, 48) in [0, 1], and let the full model restore and read all of them.

    Returns logits float32 (n, 7) and the mean squared error of the restored faces.
    """
    assert isinstance(model, FullModel)  # noqa: S101  (the two aims need the parts of this model)
    with torch.autocast(clean.device.type, enabled=False):
        corrupted = (corrupt(clean, corrupt_share, generator) - MEAN) / STD
    restored = model.restore(corrupted)
    return model.read(restored).float(), nn.functional.mse_loss(restored.float(), clean)
