"""Configuration of an export; free of torch, so that ``fer-edge export --help`` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_runtime.options import option, require
from train.config import require_seed

LEAST_FACES = 64
"""To calibrate on: of fewer, ranges are guesses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """Everything that decides a bundle."""

    weights: Path = option(Path("out/distill"), "folder of a finished run: a student, or a full model")
    data: Path | None = option(None, "FER2013: .csv, .parquet or a folder tree (default: FER_EDGE_DATA)")
    out: Path = option(
        Path("out/bundle"), "folder of the bundle; one that is there is replaced when the new one is whole"
    )
    calibration: int = option(512, "Training faces whose ranges the int8 artefacts are calibrated on")
    tflite_runtime: Path | None = option(
        None,
        "Python of an environment with tflite-runtime: the TFLite artefacts are run by it too, and the card says how",
    )
    sensitivity: bool = option(default=False, text="also print what each of a student's layers costs in int8 alone")
    seed: int = option(7, "seed of the calibration faces and of the self-test")

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        require_seed(self.seed)
        enough = self.calibration >= LEAST_FACES and self.calibration % 8 == 0  # TFLite files take 8 at a time
        expected = f"a multiple of 8, at least {LEAST_FACES}"
        require("calibration", self.calibration, holds=enough, expected=expected)
