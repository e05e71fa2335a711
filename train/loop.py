"""The training loop: any model, any objective, one process or several, read from top to bottom.

An epoch is a pure function of (configuration, weights, optimiser, epoch number): order, views, corruptions and dropout
are seeded by the epoch. So a run that was interrupted goes on from its last epoch as if nothing had happened, on a
GPU but for the rounding of the kernels that it chooses anew.
"""

from __future__ import annotations

import copy
import json
import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from edge_runtime.errors import DataError, UsageError
from edge_runtime.files import make_folder, write_text
from edge_runtime.options import data_path, to_plain, votes_path
from edge_runtime.scoring.datasets import FaceSet, read_faces
from edge_runtime.scoring.ferplus import read_votes
from edge_runtime.scoring.metrics import Metrics, score, softmax
from train.checkpoint import check_same_run, goes_on, load_mean, resume, save_checkpoint, save_weights
from train.config import FitConfig, TrainConfig
from train.curves import Curves
from train.evaluate import predict
from train.model import FullModel
from train.objective import EmotionObjective, Objective
from train.offsets import correct_bias
from train.parallel import Team, team
from train.precision import autocast, resolved
from train.restore import learn_to_restore
from train.step import AveragedWeights, Losses, RecordedStep, take_step

_LOWER = "lower --learning-rate and name another --out; what is in this one is as the epoch before left it"


def fit(objective: Objective, training: FaceSet, public: FaceSet, config: FitConfig, run: Team) -> nn.Module:
    """Train ``objective`` for ``config.epochs`` epochs; return its model's averaged weights.

    The leading process writes ``config.json`` in ``config.out``, and after each epoch ``checkpoint.pt``, ``curves.csv``
    and ``curves.png``.
    """
    # a third faster: the layout that the bf16 kernels want (torch has no type for this call)
    objective.to(config.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = AveragedWeights(objective.model, config.ema_decay)
    optimiser = make_optimiser(objective, config)
    checkpoint = config.out / "checkpoint.pt"
    first_epoch = (
        resume(checkpoint, objective, averaged, optimiser, config, objective.learns_from) if checkpoint.exists() else 0
    )
    run.agree("epochs done", first_epoch)
    if first_epoch:
        run.say(f"going on after {first_epoch} epochs, on the schedule of {config.epochs}")
    if run.leads:  # options that cannot go on with the checkpoint have been refused
        write_text(config.out / "config.json", json.dumps(to_plain(config), indent=1) + "\n")
    curves = Curves(config.out, first_epoch)
    every = slice(None, None, max(1, len(training) // len(public)))  # a folder's faces are sorted by emotion
    sample = FaceSet(images=training.images[every], labels=training.labels[every], split="Training", sha256="")
    learner = run.together(objective)

    for epoch in range(first_epoch, config.epochs):
        started = time.monotonic()
        losses = learn(learner, objective, averaged, optimiser, len(training), epoch, config, run)
        if not run.leads:
            continue
        with autocast(config):
            seen, unseen = assess(averaged.model, sample), assess(averaged.model, public)
        row = {"epoch": epoch + 1, "learning_rate": float(optimiser.param_groups[0]["lr"]), **losses}
        row |= {"train_loss": seen.cross_entropy, "train_accuracy": seen.accuracy}
        row |= {"public_loss": unseen.cross_entropy, "public_accuracy": unseen.accuracy}
        row |= {"public_macro_f1": unseen.macro_f1, "seconds": time.monotonic() - started}
        state = {
            "objective": objective.state_dict(),
            "averaged": averaged.state_dict(),
            "optimiser": optimiser.state_dict(),
            "epochs_done": epoch + 1,
            "data_sha256": objective.learns_from,
        }
        curves.add(row)  # first: resuming drops a row too many, and cannot make up one too few
        save_checkpoint(checkpoint, state)
        run.say(" · ".join(f"{name} {value:.4g}" for name, value in row.items()))
    return averaged.model


def learn(
    learner: nn.Module,
    objective: Objective,
    averaged: AveragedWeights,
    optimiser: torch.optim.Optimizer,
    n: int,
    epoch: int,
    config: FitConfig,
    run: Team,
) -> dict[str, float]:
    """Run one epoch over ``n`` faces; return the mean of each part of the loss over its steps.

    A last, partial batch is left out; the next epoch's order brings its faces back. Raises ``DataError`` when the loss
    is not finite: what has learned from it is not kept.
    """
    steps = n // config.batch
    seed = config.seed * 1_000_003 + epoch
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[: steps * config.batch]
    order = order.view(steps, -1)[:, run.rank :: run.size].to(config.device)
    torch.manual_seed(seed + 7_919 * run.rank)  # dropout
    objective.begin_epoch(epoch, run.rank)
    objective.train()
    recorded = config.device == "cuda" and run.size == 1 and objective.recordable
    for group in optimiser.param_groups:
        group["lr"] = torch.zeros((), device=config.device)  # a recorded step reads it anew
    step: Callable[[Tensor], Losses] = partial(take_step, learner, objective, averaged, optimiser, config)
    sums: dict[str, Tensor] = {}
    title = f"epoch {epoch + 1}/{config.epochs}"
    bar = tqdm(order, title, unit="step", leave=False, mininterval=1, disable=not run.leads)
    for number, index in enumerate(bar):
        rate = config.learning_rate * schedule(epoch + number / steps, config)
        for group in optimiser.param_groups:
            group["lr"].fill_(rate)
        if recorded and number == 1:
            step = RecordedStep(step, index, objective.generator)
        parts = step(index)
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            where = f"epoch {epoch + 1}, step {number}, learning rate {rate:.2g}"
            raise DataError(f"the loss at {where}", expected="finite", got=str(loss.item()), next_step=_LOWER)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0) + value
    # a finite loss can have a gradient that is not, and what has learned from the last one has no loss yet
    if not all(value.isfinite().all() for value in objective.parameters()):
        got = "a weight that is not"
        raise DataError(f"the weights after epoch {epoch + 1}", expected="finite", got=got, next_step=_LOWER)
    return {name: float(run.mean(value)) / steps for name, value in sums.items()}


def assess(model: nn.Module, faces: FaceSet) -> Metrics:
    """Score ``model`` on labelled faces, each once through it."""
    return score(faces.labels, softmax(predict(model, faces.images)))


def make_optimiser(module: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """Build the optimiser that ``config`` names; biases and batch norm are not decayed."""
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True, capturable=config.device == "cuda")


def schedule(epochs_done: float, config: FitConfig) -> float:
    """Share of the peak learning rate: linear warm-up, then half a cosine to zero at the last epoch's end."""
    if epochs_done < config.warmup_epochs:
        return max(epochs_done / config.warmup_epochs, 0.01)
    falling = max(config.epochs - config.warmup_epochs, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min((epochs_done - config.warmup_epochs) / falling, 1)))


def prepare(config: FitConfig, run: Team) -> tuple[FaceSet, FaceSet]:
    """Read the Training and PublicTest faces, make the output folder, and seed what is drawn."""
    data = data_path(config.data)
    training, public = read_faces(data, "Training"), read_faces(data, "PublicTest")
    run.say(f"{training.described} · {public.described}")
    if len(training) < config.batch:
        expected = f"at least a batch of {config.batch}"
        raise DataError("too few Training faces", expected=expected, got=str(len(training)), next_step="lower --batch")
    make_folder(config.out)
    check_same_run(config)
    if not config.epochs and (config.out / "checkpoint.pt").exists():
        step = "name another --out: the mean of other runs is none of this one"
        raise UsageError("--epochs 0", expected="no run in --out", got=str(config.out), next_step=step)
    torch.manual_seed(config.seed)
    return training, public


def finish(config: FitConfig, shape: str, model: nn.Module, training: FaceSet, public: FaceSet, run: Team) -> None:
    """Correct the averaged weights' bias, write them with what they are, and print their score.

    ``shape``: the field of the configuration that says how the network is built; a reader looks for it.
    """
    if not run.leads:
        return
    correct_bias(model, training)
    metrics, rows = assess(model, public), Curves(config.out, config.epochs).rows
    meta: dict[str, Any] = {
        "config": to_plain(config, names_only=True),
        "shape": shape,
        "parameters": sum(p.numel() for p in model.parameters()),
        "macs": macs(model),
        "epoch_seconds": statistics.median(row["seconds"] for row in rows) if rows else None,
        "data_sha256": training.sha256,
        "public_test": to_plain(metrics),
    }
    save_weights(config.out, model, meta)
    figures = f"accuracy {metrics.accuracy:.4f}, macro-F1 {metrics.macro_f1:.4f}, n = {metrics.n}"
    size = f"{meta['parameters'] / 1e6:.2f} M parameters, {meta['macs'] / 1e6:.0f} M multiplications a face"
    run.say(f"PublicTest: {figures}; {size}; weights in {config.out}")


def macs(model: nn.Module) -> int:
    """Count the multiplications with addition of one face's way through ``model``."""
    counter = FlopCounterMode(display=False)
    # on the meta device an LSTM is matrix products; on a CPU it is one operator that the counter does not know
    shapes = copy.deepcopy(model).to("meta").eval()
    with counter, torch.inference_mode():
        shapes(torch.zeros(1, 1, 48, 48, device="meta"))
    return int(counter.get_total_flops()) // 2


def train(config: TrainConfig) -> None:
    """Run ``fer-edge train``."""
    with team(config) as run:
        config = resolved(config)
        training, public = prepare(config, run)
        votes = None
        if config.ferplus_weight:
            votes = torch.from_numpy(read_votes(votes_path(config.ferplus), data_path(config.data), training))
        network = FullModel(config.model)
        if config.start_from and not goes_on(config):
            load_mean(config.start_from, network, config.model.stem_stride)
        first_sitting = not run.agree("checkpoint", (config.out / "checkpoint.pt").exists())
        epochs = config.restore_epochs if config.restore_epochs is not None else 0 if config.start_from else 12
        if config.model.autoencoder and epochs and first_sitting:
            left = learn_to_restore(network.autoencoder, training, epochs, config, run)
            run.say(f"after {epochs} epochs the autoencoder leaves {left:.0%} of the squared error")
        objective = EmotionObjective(network, training, config, votes)
        model = fit(objective, training, public, config, run)
        finish(config, "model", model, training, public, run)
