"""``fer-edge distill``: label the views with the teachers, then train the student by the common loop."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.config import DistillConfig, StudentConfig
from distill.fakequant import learnt_weights, simulate_int8
from distill.loss import distillation_loss, feature_loss
from distill.networks import load_network, take_in
from distill.opinion import label_given_votes, with_opinion
from distill.student import Student
from distill.views import teacher_targets, unsmoothed
from edge_runtime.emotions.normalise import MEAN, STD
from edge_runtime.options import data_path, from_plain, require, votes_path
from edge_runtime.scoring.datasets import FaceSet
from edge_runtime.scoring.ferplus import read_votes
from train.augment import mixture, partners
from train.checkpoint import goes_on, load_mean, load_meta, load_shape, load_weights
from train.config import ModelConfig
from train.loop import finish, fit, prepare
from train.model import FullModel
from train.objective import Objective, corrupt_some
from train.parallel import team
from train.precision import resolved


class DistillObjective(Objective):
    """Distillation loss of the view that the epoch's number selects, of which it sees some corrupted.

    With a ``teacher`` the student's context vectors learn to be like that one's, but for a linear map that is not kept.
    """

    model: FullModel | Student

    def __init__(
        self,
        model: FullModel | Student,
        faces: FaceSet,
        targets: Tensor,
        config: DistillConfig,
        teacher: FullModel | None = None,
    ) -> None:
        """Keep the teachers' targets (views, n, 7) on the device; ``teacher`` is there already, and does not learn."""
        super().__init__(model, faces, config)
        digest = hashlib.sha256(targets.numpy().tobytes())
        self.teacher_embeds: Callable[[Tensor], Tensor] | None = None
        if teacher is not None:
            self.teacher_embeds = teacher.embed  # the bound method: the teacher itself is no part of what learns
            self.to_teacher = nn.Linear(model.width, teacher.width)
            take_in(digest, teacher)
        self.options, self.targets = config, targets.to(config.device)
        # fake quantisation asks the device for its ranges in the midst of a step
        self.recordable = config.quantise_from is None
        self.learns_from += digest.hexdigest()

    def begin_epoch(self, epoch: int, rank: int) -> None:
        """Draw the same view that the teachers labelled, or its mirror image: they labelled both as one."""
        self.number, self.mirrored = self.view_number(epoch), epoch // self.options.views % 2 == 1
        super().begin_epoch(epoch, rank)

    def see(self, index: Tensor) -> Tensor:
        """Return the view of the faces, in every other round through the views its mirror image."""
        view = super().see(index)
        return view.flip(-1) if self.mirrored else view

    def view_number(self, epoch: int) -> int:
        """Return the number of a view that the teachers labelled."""
        return epoch % self.options.views

    def forward(self, index: Tensor) -> dict[str, Tensor]:
        """Loss parts of the faces ``index``."""
        options, model = self.options, self.model
        with torch.autocast(options.device, enabled=False):
            view = self.see(index)
            own = mixture(options.mixup_share, 0, view.shape[-1], self.generator)
            partner = partners(len(index), self.generator)
            faces = corrupt_some(own * view + (1 - own) * view[partner], options.corrupt_share, self.generator)
            faces = (faces - MEAN) / STD
        parts = {}
        if self.teacher_embeds is None:
            logits = model(faces).float()
        else:
            embedded = model.embed(faces)
            logits = model.classify(embedded).float()
            with torch.no_grad():
                theirs = self.teacher_embeds(faces)
            parts["features"] = options.feature_weight * feature_loss(self.to_teacher(embedded).float(), theirs.float())
        # a row holds what the teachers and what the label say of a face, and is blended as the faces are
        said = torch.stack([self.targets[self.number, index].float(), F.one_hot(self.labels[index], 7).float()])
        targets, labels = torch.lerp(said[:, partner], said, own.mean())
        return parts | distillation_loss(
            logits, targets, labels, temperature=options.temperature, label_weight=options.label_weight
        )


def distill(config: DistillConfig) -> None:
    """Run ``fer-edge distill``; a full model taught anew gets the first teacher's shape."""
    if config.quantise_from:
        free = config.network == "student" and config.student == StudentConfig()
        expected = "no network and no shape beside --quantise-from, whose student is taught on"
        require("network", config.network, holds=free, expected=expected)
        shape = from_plain(StudentConfig, load_shape(config.quantise_from, "student"))
        name = load_meta(config.quantise_from)["config"].get("network", "student")
        config = dataclasses.replace(config, network=name, student=shape, precision="fp32")
    with team(config) as run:
        config = resolved(config)
        if config.teachers:
            of_teacher = from_plain(ModelConfig, load_shape(config.teachers[0], "model"))
            config = dataclasses.replace(config, model=of_teacher)
        teachers = [_teacher(folder).to(config.device) for folder in config.teachers] if config.epochs else []
        training, public = prepare(config, run)
        network = _first_network(config)
        kind = "model" if config.network == "full" else "student"
        if not config.epochs:  # the mean of finished runs, as it is
            finish(config, kind, network.to(config.device), training, public, run)
            return
        said = None
        if config.ferplus_power:
            votes = read_votes(votes_path(config.ferplus), data_path(config.data), training)
            said = label_given_votes(votes, training.labels, config.seed)
            alike = np.mean(said.argmax(1) == training.labels)
            run.say(f"FER+ votes tell the label of {alike:.1%} of the Training faces")
        with run.one_by_one():
            targets = teacher_targets(teachers, training, config)
        if config.teacher_smoothing:
            targets = unsmoothed(targets, config.teacher_smoothing, config.temperature)
        if said is not None:
            targets = with_opinion(targets, said, power=config.ferplus_power, temperature=config.temperature)
        shown = teachers[0] if config.feature_weight else None
        model = fit(DistillObjective(network, training, targets, config, shown), training, public, config, run)
        if config.quantise_from:
            learnt, model = learnt_weights(model), Student(config.student)
            model.load_state_dict(learnt)
        finish(config, kind, model, training, public, run)


def _teacher(folder: Path) -> FullModel:
    return cast("FullModel", load_network(folder, "model"))


def _first_network(config: DistillConfig) -> FullModel | Student:
    """Return what is taught, as it is before the first step; a full model has its first teacher's autoencoder."""
    network = FullModel(config.model) if config.network == "full" else Student(config.student)
    if isinstance(network, FullModel):
        network.autoencoder.load_state_dict(_teacher(config.teachers[0]).autoencoder.state_dict())
    if config.start_from and not goes_on(config):
        load_mean(config.start_from, network, config.model.stem_stride if config.network == "full" else None)
    if config.quantise_from:
        if not goes_on(config):
            load_weights(config.quantise_from, network)
        simulate_int8(network)
    return network
