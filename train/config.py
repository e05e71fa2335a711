"""Options of the commands that live here; free of torch, so that ``fer-edge train --help`` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_runtime.emotions.labels import FACE_SIZE
from edge_runtime.options import group, option, require


def require_positive(options: object, *names: str) -> None:
    """Refuse a size, or one among several, that is less than 1: raise ``UsageError``."""
    for name in names:
        value = getattr(options, name)
        least = min(value) if isinstance(value, tuple) else value
        require(name, least, holds=least >= 1, expected="at least 1")


def require_seed(seed: int) -> None:
    """Refuse a seed that not every library takes: raise ``UsageError``."""
    require("seed", seed, holds=0 <= seed < 2**32, expected="0 ≤ value < 2³²")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Shape of the full model; each of the paper's parts can be left out or exchanged."""

    autoencoder: bool = option(default=True, text="clean the face first; without it the backbone reads it as it is")
    autoencoder_width: int = option(16, "channels of the autoencoder at 24×24")
    stem_stride: int = option(1, "1: the first stage sees the face at its full 48×48, 2: at half of it")
    widths: tuple[int, ...] = option((32, 96, 192, 320), "channels of each stage; each but the first halves the map")
    blocks: tuple[int, ...] = option((2, 2, 2, 2), "residual blocks of each stage")
    context: Literal["bilstm", "transformer", "none"] = option("bilstm", "what reads the positions as a sequence")
    context_width: int = option(256, "features of a position after the context, half of them of each LSTM direction")
    attention: bool = option(default=True, text="weigh the positions by soft attention; without it they are averaged")
    dropout: float = option(0.2, "share of the context vector dropped before the last layer")

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        stages = len(self.widths)
        require("blocks", self.blocks, holds=len(self.blocks) == stages, expected=f"{stages}, one for each of --widths")
        require("widths", self.widths, holds=1 <= stages <= 4, expected="1 to 4 stages")  # noqa: PLR2004  (48 → 3)
        require("stem_stride", self.stem_stride, holds=self.stem_stride in {1, 2}, expected="1 or 2")
        require_positive(self, "widths", "blocks", "autoencoder_width", "context_width")
        heads = {"bilstm": 2, "transformer": 4, "none": 1}[self.context]
        divides = self.context_width % heads == 0
        require("context_width", self.context_width, holds=divides, expected=f"a multiple of {heads} ({self.context})")
        require("dropout", self.dropout, holds=0 <= self.dropout < 1, expected="0 ≤ value < 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """What every training run has in common, whatever it learns; saved beside its checkpoints."""

    data: Path | None = option(None, "FER2013: .csv, .parquet or a folder tree (default: FER_EDGE_DATA)")
    out: Path = option(
        Path("out/train"), "folder for checkpoint, curves and weights; a run whose checkpoint lies there goes on"
    )
    start_from: tuple[Path, ...] = option(
        (),
        "folders of finished runs of the same shape, the mean of whose weights are the first ones: a warm restart, or"
        " with --epochs 0 a model soup (Wortsman et al. 2022)",
    )
    device: Literal["cpu", "cuda"] = option("cpu", "where to train; torchrun gives each process its own GPU")
    precision: Literal["auto", "bf16", "fp32"] = option(
        "auto", "arithmetic of the forward and backward pass; auto is bf16 on a GPU or a CPU with AMX, and else fp32"
    )
    epochs: int = option(40, "passes over the Training split")
    batch: int = option(64, "faces per step, over all processes")
    optimiser: Literal["adamw", "sgd"] = option("adamw", "AdamW, or SGD with Nesterov momentum 0.9")
    learning_rate: float = option(1e-3, "peak learning rate")
    warmup_epochs: float = option(1.0, "epochs of linear warm-up; then the rate falls as a cosine to zero")
    weight_decay: float = option(0.05, "weight decay of matrices and kernels; biases and batch norm have none")
    ema_decay: float = option(0.999, "decay per step of the averaged weights, which are the ones evaluated and kept")
    erase_share: float = option(0.5, "share of the faces that lose a rectangle (Zhong et al. 2020)")
    crop: int = option(
        FACE_SIZE, "pixels: side of the cut of each face that all epochs but the last quarter learn from"
    )
    seed: int = option(0, "seed of weights, order, views and corruptions")
    threads: int = option(0, "CPU threads (0: as torch chooses)")
    ferplus: Path | None = option(None, "FER+ votes, fer2013new.csv (default: FER_EDGE_FERPLUS)")

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for name, low in (("epochs", 0 if self.start_from else 1), ("batch", 2), ("threads", 0), ("warmup_epochs", 0)):
            self._at_least(name, low)
        require_seed(self.seed)
        self._shares("ema_decay", "erase_share")
        finite = 0 < self.learning_rate < math.inf
        require("learning_rate", self.learning_rate, holds=finite, expected="more than 0, and finite")
        self._at_least("weight_decay", 0)
        warm = self.warmup_epochs <= self.epochs or not self.epochs
        require("warmup_epochs", self.warmup_epochs, holds=warm, expected=f"at most the {self.epochs} of --epochs")
        require("crop", self.crop, holds=self.crop in {32, 40, FACE_SIZE}, expected="32, 40 or 48")

    def _crop_fits(self, model: ModelConfig) -> None:
        whole = self.crop == FACE_SIZE or model.context != "transformer"
        require("crop", self.crop, holds=whole, expected=f"{FACE_SIZE}: a transformer knows a whole face's positions")

    def _votes_count(self, name: str) -> None:
        self._at_least(name, 0)
        idle = self.ferplus is not None and getattr(self, name) == 0
        require(name, 0, holds=not idle, expected="more than 0 where --ferplus names votes")

    def _at_least(self, name: str, low: float) -> None:
        value: Any = getattr(self, name)
        require(name, value, holds=low <= value < math.inf, expected=f"at least {low}, and finite")

    def _shares(self, *names: str) -> None:
        for name in names:
            value: Any = getattr(self, name)
            require(name, value, holds=0 <= value < 1, expected="0 ≤ value < 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(FitConfig):
    """Training of the full model on the labels."""

    epochs: int = option(100, "passes over the Training split")
    batch: int = option(128, "faces per step, over all processes")
    optimiser: Literal["adamw", "sgd"] = option("sgd", "AdamW, or SGD with Nesterov momentum 0.9")
    learning_rate: float = option(0.1, "peak learning rate")
    weight_decay: float = option(1e-3, "weight decay of matrices and kernels; biases and batch norm have none")
    class_weight_power: float = option(0.25, "class weights are frequency^-power: 1 is inverse frequency, 0 is none")
    mixup_share: float = option(0.3, "share of the steps whose faces are blended in pairs (Zhang et al. 2018)")
    cutmix_share: float = option(0.0, "share of the steps whose faces get a patch of another (Yun et al. 2019)")
    label_smoothing: float = option(0.1, "share of the target spread over all seven emotions")
    corrupt_share: float = option(0.25, "share of the faces that are corrupted for the autoencoder to clean")
    restore_epochs: int | None = option(
        None, "epochs in which the autoencoder learns, alone and first (default: 12, and none after --start-from)"
    )
    ferplus_weight: float = option(0.0, "weight of an auxiliary head that learns the FER+ votes; it is not kept")
    model: ModelConfig = group(ModelConfig)

    def __post_init__(self) -> None:
        """Refuse values outside their range, and what contradicts itself."""
        # zero-argument super() does not find the class: slots=True makes a new one
        super(TrainConfig, self).__post_init__()
        self._shares("mixup_share", "cutmix_share", "label_smoothing", "corrupt_share")
        self._crop_fits(self.model)
        mixed = self.mixup_share + self.cutmix_share
        require("cutmix_share", mixed, holds=mixed <= 1, expected="at most 1 together with --mixup-share")
        self._at_least("class_weight_power", 0)
        restores = self.restore_epochs is None or self.restore_epochs >= 0
        require("restore_epochs", self.restore_epochs, holds=restores, expected="at least 0")
        self._votes_count("ferplus_weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresOptions:
    """Options of ``fer-edge figures``."""

    weights: Path = option(Path("out/train"), "folder of a full model's weights, with autoencoder and attention")
    data: Path | None = option(None, "FER2013: .csv, .parquet or a folder tree (default: FER_EDGE_DATA)")
    out: Path = option(Path("out/figures"), "folder for restored.png, attention.png and figures.json")
    seed: int = option(0, "seed of the corruptions")

    def __post_init__(self) -> None:
        """Refuse a seed out of range."""
        require_seed(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineOptions:
    """Options of ``fer-edge baselines``."""

    data: Path | None = option(None, "FER2013: .csv, .parquet or a folder tree (default: FER_EDGE_DATA)")
    out: Path = option(Path("out/baselines"), "folder for baselines.json")
    seed: int = option(0, "seed of the linear SVM and of the principal components")

    def __post_init__(self) -> None:
        """Refuse a seed out of range."""
        require_seed(self.seed)
