"""Configuration of a distillation; free of torch, so that ``fer-edge distill --help`` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_runtime.errors import UsageError
from edge_runtime.options import option
from train.config import FitConfig, ModelConfig, require


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentConfig:
    """Shape of the student.

    ``widths`` and ``blocks``: channels and residual blocks of each stage, whose maps are 24², 12², 6² and 3² positions.
    """

    widths: tuple[int, ...] = (24, 48, 96, 128)
    blocks: tuple[int, ...] = (2, 2, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillConfig(FitConfig):
    """Everything that decides a distillation; saved beside its checkpoints as ``config.json``."""

    teachers: tuple[Path, ...] = option(
        (), "folders of finished training runs; their softened probabilities are averaged"
    )
    out: Path = option(
        Path("out/distill"), "folder for checkpoint, log and weights; a run whose checkpoint lies there goes on"
    )
    network: Literal["student", "full"] = option(
        "student",
        "what is taught: the student, or a full model shaped as the first teacher (born-again, Furlanello et al. 2018)",
    )
    epochs: int = option(45, "passes over the Training split")
    learning_rate: float = option(2e-3, "peak learning rate")
    views: int = option(
        8, "augmented views of each face that the teachers label once; epoch e learns view e modulo this"
    )
    temperature: float = option(
        2.0, "the teachers' and the student's logits are divided by it in the distillation loss"
    )
    label_weight: float = option(0.2, "share of the loss that comes from the labels; the rest comes from the teachers")
    corrupt_share: float = option(0.25, "full model: share of the faces corrupted for the autoencoder to clean")
    restore_weight: float = option(2.0, "full model: weight of the autoencoder's squared error")
    student: StudentConfig = field(default_factory=StudentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        # zero-argument super() does not find the class: slots=True makes a new one
        super(DistillConfig, self).__post_init__()
        self._at_least("views", 1)
        self._shares("label_weight", "corrupt_share")
        self._at_least("restore_weight", 0)
        require("temperature", self.temperature, holds=self.temperature > 0, expected="more than 0")
        if not self.teachers:
            step = "name the --out folders of finished fer-edge train runs"
            raise UsageError(
                "no teacher was named", expected="--teachers FOLDER [FOLDER …]", got="none", next_step=step
            )
