"""Configuration of a training run; free of torch, so that ``fer-edge train --help`` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_runtime.errors import UsageError
from edge_runtime.options import option


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Shape of the full model.

    ``widths`` and ``blocks``: channels and residual blocks of each stage, whose maps are 24², 12², 6² and 3² positions.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    lstm_hidden: int = 128
    dropout: float = 0.2
    autoencoder_width: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """What every training run has in common, whatever it learns; saved beside its checkpoints."""

    data: Path | None = option(None, "FER2013 as .csv or .parquet (default: FER_EDGE_DATA)")
    out: Path = option(
        Path("out/train"), "folder for checkpoint, log and weights; a run whose checkpoint lies there goes on"
    )
    device: Literal["cpu", "cuda"] = option("cpu", "where to train")
    precision: Literal["bf16", "fp32"] = option("bf16", "arithmetic of the forward and backward pass")
    epochs: int = option(40, "passes over the Training split")
    batch: int = option(64, "faces per step")
    learning_rate: float = option(
        1e-3, "peak of Adam's learning rate: after a warm-up of one epoch it falls as a cosine to zero"
    )
    weight_decay: float = option(0.05, "decoupled weight decay (AdamW) of matrices and kernels")
    ema_decay: float = option(0.999, "decay per step of the averaged weights, which are the ones evaluated and kept")
    seed: int = option(0, "seed of weights, order, views and corruptions")
    threads: int = option(0, "CPU threads (0: as torch chooses)")

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for name, low in (("epochs", 1), ("batch", 2), ("threads", 0), ("seed", 0)):
            self._require(name, holds=getattr(self, name) >= low, expected=f"at least {low}")
        self._require("ema_decay", holds=0 <= self.ema_decay < 1, expected="0 ≤ value < 1")
        self._require("learning_rate", holds=self.learning_rate > 0, expected="more than 0")

    def _require(self, name: str, *, holds: bool, expected: str) -> None:
        if not holds:
            flag = "--" + name.replace("_", "-")
            raise UsageError(
                f"{flag} is out of range",
                expected=expected,
                got=str(getattr(self, name)),
                next_step="correct the option",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(FitConfig):
    """Training of the full model on the labels."""

    class_weight_power: float = option(0.25, "class weights are frequency^-power: 1 is inverse frequency, 0 is none")
    mixup_share: float = option(0.5, "share of the steps whose faces are mixed in pairs (Zhang et al. 2018)")
    label_smoothing: float = option(0.1, "share of the target spread over all seven emotions")
    corrupt_share: float = option(0.25, "share of the faces that are corrupted for the autoencoder to clean")
    restore_weight: float = option(2.0, "weight of the autoencoder's squared error beside the cross entropy")
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        # zero-argument super() does not find the class: slots=True makes a new one
        super(TrainConfig, self).__post_init__()
        for name in ("mixup_share", "label_smoothing", "corrupt_share"):
            self._require(name, holds=0 <= getattr(self, name) < 1, expected="0 ≤ value < 1")
