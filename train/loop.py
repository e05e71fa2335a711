"""The training loop: any model, any objective, read from top to bottom.

An epoch is a pure function of (configuration, weights, optimiser, epoch number): order, views, corruptions and
dropout are
seeded by the epoch. So a run that was interrupted goes on from its last epoch as if nothing had happened.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from edge_runtime.errors import DataError, UsageError
from edge_runtime.options import data_path, to_plain
from edge_runtime.scoring.datasets import FaceSet, read_faces
from edge_runtime.scoring.metrics import Metrics, score, softmax
from train.checkpoint import load_checkpoint, save_checkpoint, save_weights
from train.config import FitConfig, TrainConfig
from train.evaluate import predict
from train.model import FullModel
from train.objective import EmotionObjective, Objective


def fit(
    model: nn.Module, objective: Objective, public: FaceSet, n_train: int, config: FitConfig
) -> tuple[nn.Module, Metrics]:
    """Train ``model`` for ``config.epochs`` epochs; return its averaged weights and their score on ``public``.

    Writes ``checkpoint.pt`` after each epoch and one line an epoch to ``log.jsonl`` in ``config.out``.
    """
    checkpoint, log = config.out / "checkpoint.pt", config.out / "log.jsonl"
    # a third faster: the layout that the bf16 kernels want (torch has no type for this call)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = get_ema_multi_avg_fn(config.ema_decay)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]  # biases and batch norm are not decayed
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    if n_train < config.batch:
        expected = f"at least a batch of {config.batch}"
        raise DataError("too few Training faces", expected=expected, got=str(n_train), next_step="lower --batch")
    steps = n_train // config.batch  # a last, partial batch is left out; the next epoch's order brings its faces back
    first_epoch = _resume(checkpoint, model, averaged, optimiser, config) if checkpoint.exists() else 0
    metrics = score(public.labels, softmax(predict(averaged, public.images)))

    for epoch in range(first_epoch, config.epochs):
        started = time.monotonic()
        torch.manual_seed(config.seed * 1_000_003 + epoch)
        order = torch.randperm(n_train)[: steps * config.batch].view(steps, config.batch)
        objective.begin_epoch(epoch)
        model.train()
        sums: dict[str, float] = {}
        for step, index in enumerate(
            tqdm(order, desc=f"epoch {epoch + 1}/{config.epochs}", unit="step", leave=False, mininterval=1)
        ):
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * schedule(epoch + step / steps, config.epochs)
            with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bf16"):
                parts = objective(model, index.to(config.device))
            loss = torch.stack(list(parts.values())).sum()
            if not torch.isfinite(loss):
                where = f"epoch {epoch + 1}, step {step}, learning rate {optimiser.param_groups[0]['lr']:.2g}"
                raise DataError(
                    f"the loss at {where}",
                    expected="finite",
                    got=str(loss.item()),
                    next_step="lower --learning-rate; the checkpoint is whole",
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            averaged.update_parameters(model)
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value.item() / steps
        metrics = score(public.labels, softmax(predict(averaged, public.images)))
        state = {
            "model": model.state_dict(),
            "averaged": averaged.state_dict(),
            "optimiser": optimiser.state_dict(),
            "epochs_done": epoch + 1,
        }
        save_checkpoint(checkpoint, state)
        line = {
            "epoch": epoch + 1,
            **sums,
            "public_accuracy": metrics.accuracy,
            "public_macro_f1": metrics.macro_f1,
            "seconds": time.monotonic() - started,
        }
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(" · ".join(f"{name} {value:.4g}" for name, value in line.items()), flush=True)
    return averaged.module, metrics


def _resume(
    checkpoint: Path, model: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer, config: FitConfig
) -> int:
    """Load a checkpoint into all that an epoch starts from; return the number of epochs done."""
    state = load_checkpoint(checkpoint, config.device)
    try:
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        epochs_done = int(state["epochs_done"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        step = "name another --out, or give the options that the run was started with"
        expected = f"weights of this {type(model).__name__}"
        what = f"{checkpoint} is of another network"
        raise DataError(what, expected=expected, got=str(error)[:300], next_step=step) from error
    if epochs_done > config.epochs:
        expected, step = f"at least the {epochs_done} that are done", "raise it, or name another --out"
        raise UsageError("--epochs", expected=expected, got=str(config.epochs), next_step=step)
    return epochs_done


def schedule(epochs_done: float, epochs: int) -> float:
    """Share of the peak learning rate: linear warm-up over the first epoch, then half a cosine to zero."""
    if epochs_done < 1:
        return max(epochs_done, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (epochs_done - 1) / max(epochs - 1, 1)))


def prepare(config: FitConfig) -> tuple[FaceSet, FaceSet]:
    """Read the Training and PublicTest faces, seed torch, make the output folder and save the configuration in it."""
    data = data_path(config.data)
    training, public = read_faces(data, "Training"), read_faces(data, "PublicTest")
    print(f"{training.described} · {public.described}")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "--device cuda", expected="a GPU that torch can use", got="none", next_step="take --device cpu"
        )
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    config.out.mkdir(parents=True, exist_ok=True)
    (config.out / "config.json").write_text(json.dumps(to_plain(config), indent=1) + "\n", encoding="utf-8")
    return training, public


def finish(config: FitConfig, shape: str, averaged: nn.Module, training: FaceSet, metrics: Metrics) -> None:
    """Write the averaged weights with what they are, and print their score.

    ``shape``: the field of the configuration that says how the network is built; a reader looks for it.
    """
    meta: dict[str, Any] = {
        "config": to_plain(config),
        "shape": shape,
        "data_sha256": training.sha256,
        "public_test": to_plain(metrics),
    }
    save_weights(config.out, averaged, meta)
    figures = f"accuracy {metrics.accuracy:.4f}, macro-F1 {metrics.macro_f1:.4f}, n = {metrics.n}"
    print(f"PublicTest: {figures}; weights in {config.out}")


def train(config: TrainConfig) -> None:
    """Run ``fer-edge train``."""
    training, public = prepare(config)
    model = FullModel(config.model).to(config.device)
    averaged, metrics = fit(model, EmotionObjective(training, config), public, len(training), config)
    finish(config, "model", averaged, training, metrics)
