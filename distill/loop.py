"""``fer-edge distill``: label the views with the teachers, then train the student by the common loop."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from distill.config import DistillConfig
from distill.loss import distillation_loss
from distill.student import Student
from distill.views import teacher_targets
from edge_runtime.emotions.normalise import MEAN, STD
from edge_runtime.options import from_plain
from edge_runtime.scoring.datasets import FaceSet
from train.augment import Augmentation, apply_view, draw_view
from train.checkpoint import load_shape, load_weights
from train.config import ModelConfig
from train.loop import finish, fit, prepare
from train.model import FullModel
from train.objective import restore_and_read


class DistillObjective:
    """Distillation loss of the view that the epoch's number selects; for a full model also its autoencoder's error."""

    def __init__(self, faces: FaceSet, targets: Tensor, config: DistillConfig) -> None:
        """Keep faces and teachers' targets (views, n, 7) on the device."""
        self.config = config
        self.images = torch.from_numpy(faces.images).to(config.device)
        self.labels = torch.from_numpy(faces.labels).to(config.device)
        self.targets = targets.to(config.device)

    def begin_epoch(self, epoch: int) -> None:
        """Draw the same view that the teachers labelled."""
        self.number = epoch % self.config.views
        self.view = draw_view(len(self.labels), self.config.seed, self.number, Augmentation()).to(self.config.device)
        self.generator = torch.Generator(self.config.device).manual_seed(self.config.seed * 1_000_003 + epoch)

    def __call__(self, model: nn.Module, index: Tensor) -> dict[str, Tensor]:
        """Loss parts of the faces ``index``."""
        config = self.config
        with torch.autocast(config.device, enabled=False):
            faces = apply_view(self.images[index], self.view[index])
        parts = {}
        if config.network == "full":
            logits, error = restore_and_read(model, faces, config.corrupt_share, self.generator)
            parts["restore"] = config.restore_weight * error
        else:
            logits = model((faces - MEAN) / STD).float()
        targets, labels = self.targets[self.number, index], self.labels[index]
        taught = distillation_loss(
            logits, targets, labels, temperature=config.temperature, label_weight=config.label_weight
        )
        return taught | parts


def load_teacher(folder: Path, device: str) -> FullModel:
    """Build the full model that a finished ``fer-edge train`` run left in ``folder``, in evaluation mode."""
    model = FullModel(from_plain(ModelConfig, load_shape(folder, "model")))
    load_weights(folder, model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.to(device).eval()


def distill(config: DistillConfig) -> None:
    """Run ``fer-edge distill``."""
    teachers: list[nn.Module] = [load_teacher(folder, config.device) for folder in config.teachers]
    training, public = prepare(config)
    targets = teacher_targets(teachers, training, config)
    network = FullModel(config.model) if config.network == "full" else Student(config.student)
    objective = DistillObjective(training, targets, config)
    averaged, metrics = fit(network.to(config.device), objective, public, len(training), config)
    finish(config, "model" if config.network == "full" else "student", averaged, training, metrics)
