"""What training runs minimise: the common form, and the full model's aims."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_runtime.emotions.normalise import MEAN, STD
from edge_runtime.scoring.datasets import FaceSet
from train.augment import Augmentation, apply_view, draw_view, mixture, partners
from train.config import FitConfig, TrainConfig
from train.corruptions import corrupt
from train.model import FullModel


class Objective(nn.Module, ABC):
    """What a run minimises: it holds the model that learns, and whatever else learns with it.

    ``learns_from``: sha256 of the data; a checkpoint of other data is not gone on with. ``recordable``: whether a GPU
    may record a step and replay it.
    """

    recordable = True

    def __init__(self, model: nn.Module, faces: FaceSet, config: FitConfig) -> None:
        """Keep the Training faces on the device; they are no part of the state."""
        super().__init__()
        self.model, self.config = model, config
        self.images = torch.from_numpy(faces.images).to(config.device)
        self.labels = torch.from_numpy(faces.labels).to(config.device)
        self.learns_from = faces.sha256

    def begin_epoch(self, epoch: int, rank: int) -> None:
        """Draw what is random about this epoch; what a process draws step by step depends on its ``rank``.

        The last quarter of a run shows whole faces, so that batch norm knows what it will be asked.
        """
        self.side = self.config.crop if epoch < self.config.epochs * 3 // 4 else self.images.shape[-1]
        changes = Augmentation(erase_share=self.config.erase_share)
        self.view = draw_view(len(self.labels), self.config.seed, self.view_number(epoch), changes)
        self.view = self.view.to(self.config.device)
        seed = self.config.seed * 1_000_003 + epoch + 7_919 * rank
        self.generator = torch.Generator(self.config.device).manual_seed(seed)

    def view_number(self, epoch: int) -> int:
        """Return the number of the view that this epoch shows."""
        return epoch

    def see(self, index: Tensor) -> Tensor:
        """Return this epoch's view of the faces ``index`` int64 (n,): float32 (n, 1, side, side) in [0, 1]."""
        return apply_view(self.images[index], self.view[index], self.side)

    @abstractmethod
    def forward(self, index: Tensor) -> dict[str, Tensor]:
        """Loss parts, each a scalar, of the faces ``index`` int64 (n,); their sum is minimised."""


class EmotionObjective(Objective):
    """Class-weighted cross entropy of the emotion, over faces of which some are corrupted for the autoencoder to clean.

    With FER+ votes float32 (faces, 8) a second head, which is not kept, learns the annotators' distribution.
    """

    model: FullModel

    def __init__(self, model: FullModel, faces: FaceSet, config: TrainConfig, votes: Tensor | None = None) -> None:
        """Weigh the classes by their frequency."""
        super().__init__(model, faces, config)
        self.options = config
        frequency = torch.bincount(self.labels, minlength=7).clamp(min=1) / len(faces)
        # only their ratios count: `_entropy` divides by the sum of the batch's weights
        self.class_weights = frequency**-config.class_weight_power
        self.votes = None if votes is None else votes.to(config.device)
        if self.votes is not None:
            self.learns_from += hashlib.sha256(self.votes.cpu().numpy().tobytes()).hexdigest()
            self.second_opinion = nn.Linear(model.width, self.votes.shape[1])

    def forward(self, index: Tensor) -> dict[str, Tensor]:
        """Loss parts of the faces ``index``."""
        options, model = self.options, self.model
        with torch.autocast(options.device, enabled=False):
            view = self.see(index)
            own = mixture(options.mixup_share, options.cutmix_share, view.shape[-1], self.generator)
            partner = partners(len(index), self.generator)
            faces = corrupt_some(own * view + (1 - own) * view[partner], options.corrupt_share, self.generator)
        embedded = model.embed((faces - MEAN) / STD)
        logits, share = model.classify(embedded).float(), own.mean()
        labels = self.labels[index]
        emotion = share * self._entropy(logits, labels) + (1 - share) * self._entropy(logits, labels[partner])
        parts = {"emotion": emotion}
        if self.votes is not None:
            # soft targets; a face that nobody called an emotion has no votes, and no say
            targets = share * self.votes[index] + (1 - share) * self.votes[index[partner]]
            entropy = F.cross_entropy(self.second_opinion(embedded).float(), targets)
            parts["ferplus"] = options.ferplus_weight * entropy
        return parts

    def _entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        # as cross_entropy does with indices, whose smoothing waits for the device (and cannot be recorded)
        smoothing, classes = self.options.label_smoothing, logits.shape[-1]
        targets = F.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes
        weighted = F.cross_entropy(logits, targets, self.class_weights, reduction="sum")
        return weighted / self.class_weights[labels].sum()


def corrupt_some(faces: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Corrupt a share of the faces (n, 1, 48, 48) in [0, 1]: the first ones, for the order of a step's is random."""
    bad = round(share * len(faces))
    return torch.cat([corrupt(faces[:bad], generator), faces[bad:]]) if bad else faces
