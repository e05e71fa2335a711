"""Configuration of a distillation; free of torch, so that ``fer-edge distill --help`` is instant."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_runtime.errors import UsageError
from edge_runtime.options import group, option, require
from train.config import FitConfig, ModelConfig, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentConfig:
    """Shape of the student."""

    dense_stages: int = option(
        4, "student: stages made of residual blocks of dense 3×3 convolutions; later ones are of separable blocks"
    )
    expansion: int = option(3, "student: inner channels of a separable block, as a multiple of those it reads")
    widths: tuple[int, ...] = option((16, 48, 96, 128), "student: channels of each stage (maps of 24², 12², 6² and 3²)")
    blocks: tuple[int, ...] = option((2, 2, 1, 1), "student: blocks of each stage")
    context: Literal["bilstm", "none"] = option("none", "student: what reads the positions as a sequence")
    context_width: int = option(64, "student: features of a position after a BiLSTM, half of them of each direction")

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        stages = len(self.widths)
        require("blocks", self.blocks, holds=len(self.blocks) == stages, expected=f"{stages}, one for each of --widths")
        require("widths", self.widths, holds=1 <= stages <= 4, expected="1 to 4 stages")  # noqa: PLR2004  (48 → 3)
        require_positive(self, "widths", "blocks", "expansion", "dense_stages")
        even = self.context_width > 0 and self.context_width % 2 == 0
        require("context_width", self.context_width, holds=even, expected="a multiple of 2, more than 0")


NANO = StudentConfig(widths=(16, 24, 24, 32), blocks=(1, 2, 1, 1))
"""At most 60,000 parameters, for boards without dot-product instructions or with little memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillConfig(FitConfig):
    """Everything that decides a distillation; saved beside its checkpoints as ``config.json``."""

    teachers: tuple[Path, ...] = option(
        (), "folders of finished training runs; their softened probabilities are averaged"
    )
    out: Path = option(
        Path("out/distill"), "folder for checkpoint, log and weights; a run whose checkpoint lies there goes on"
    )
    network: Literal["student", "student-nano", "full"] = option(
        "student",
        "what is taught: a student, the smaller one of fixed shape, or a full model shaped as the first teacher"
        " (born-again, Furlanello et al. 2018)",
    )
    quantise_from: Path | None = option(
        None, "folder of a finished student, which is taken and taught on while its int8 arithmetic is simulated"
    )
    epochs: int = option(96, "passes over the Training split")
    batch: int = option(128, "faces per step, over all processes")
    learning_rate: float = option(2e-3, "peak learning rate")
    views: int = option(
        16,
        "augmented views of each face that the teachers label once; epoch e learns view e modulo this, mirrored in"
        " every other round",
    )
    targets: Path | None = option(None, "folder of the teachers' tables, for runs that share them (default: --out)")
    temperature: float = option(
        2.0, "the teachers' and the student's logits are divided by it in the distillation loss"
    )
    teacher_smoothing: float = option(
        0.0, "label smoothing that the teachers learnt with, which is taken back from what they say"
    )
    ferplus_power: float = option(
        0.0,
        "how much FER+ votes count beside the teachers: the power of what they say of the label, by which the teachers'"
        " probabilities are multiplied",
    )
    label_weight: float = option(0.2, "share of the loss that comes from the labels; the rest comes from the teachers")
    feature_weight: float = option(
        0.0,
        "weight of a loss of its own: how far what the student makes of a face before it names the emotion points away"
        " from what the first teacher does",
    )
    mixup_share: float = option(
        0.2, "share of the steps whose faces are blended in pairs, and what the teachers say of them with them"
    )
    corrupt_share: float = option(
        0.1, "share of the faces that are corrupted, as by a camera; teachers labelled them whole"
    )
    student: StudentConfig = group(StudentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        # zero-argument super() does not find the class: slots=True makes a new one
        super(DistillConfig, self).__post_init__()
        self._at_least("views", 1)
        self._votes_count("ferplus_power")
        self._at_least("feature_weight", 0)
        self._shares("mixup_share", "corrupt_share", "teacher_smoothing")
        require("label_weight", self.label_weight, holds=0 <= self.label_weight <= 1, expected="0 ≤ value ≤ 1")
        finite = 0 < self.temperature < math.inf
        require("temperature", self.temperature, holds=finite, expected="more than 0, and finite")
        if self.network == "student-nano":
            free = self.student in {StudentConfig(), NANO}
            require("network", self.network, holds=free, expected="student, where another shape is asked for")
            object.__setattr__(self, "student", NANO)
        if self.network == "full":
            free, expected = self.student == StudentConfig(), "student, where a student's shape is asked for"
            require("network", self.network, holds=free, expected=expected)
        if self.network == "full" or self.feature_weight:  # a teacher whose features are learnt reads the cuts as well
            self._crop_fits(self.model)
        both = self.quantise_from is not None and bool(self.start_from)
        require("start_from", self.start_from, holds=not both, expected="none beside --quantise-from")
        quantised = self.quantise_from is not None and self.network == "full"
        require(
            "quantise_from", self.quantise_from, holds=not quantised, expected="a student's folder, and no full network"
        )
        plain = self.quantise_from is None or not self.feature_weight
        require("feature_weight", self.feature_weight, holds=plain, expected="0 beside --quantise-from")
        exact = self.quantise_from is None or self.precision != "bf16"  # coarser than what it would simulate
        require("precision", self.precision, holds=exact, expected="auto or fp32 beside --quantise-from")
        if not self.teachers and (self.epochs or self.network == "full"):
            step = "name the --out folders of finished fer-edge train runs"
            raise UsageError(
                "no teacher was named", expected="--teachers FOLDER [FOLDER …]", got="none", next_step=step
            )
