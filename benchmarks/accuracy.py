"""``fer-edge evaluate``: accuracy of a bundle's artefacts, each by its own engine, on labelled faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge_runtime.emotions.backends.base import installed_engines
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import read_card
from edge_runtime.options import data_path, option
from edge_runtime.scoring.datasets import read_faces
from edge_runtime.scoring.metrics import score


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """Options of ``fer-edge evaluate``; it reads PublicTest, and nothing else."""

    data: Path | None = option(None, "FER2013 as .csv or .parquet (default: FER_EDGE_DATA)")
    bundle: str = option("student", "name of a shipped bundle, or a bundle's folder")
    threads: int = option(1, "CPU threads of inference")


def evaluate(options: EvaluateOptions) -> None:
    """Print one line for each artefact whose engine is installed: each face once through the graph."""
    faces = read_faces(data_path(options.data), "PublicTest")
    print(faces.described)
    print(f"{'artefact':<16}{'accuracy':>10}{'macro-F1':>10}{'ECE':>8}   recall")
    for artefact in tqdm(
        read_card(bundle_folder(options.bundle)).artefacts, unit="artefact", leave=False, disable=None
    ):
        if artefact.engine not in installed_engines():
            print(f"{artefact!s:<16} engine not installed")
            continue
        classifier = EmotionClassifier.load(
            options.bundle, engine=artefact.engine, precision=artefact.precision, threads=options.threads
        )
        parts = [classifier.probabilities(faces.images[i : i + 64]) for i in range(0, len(faces), 64)]
        metrics = score(faces.labels, np.concatenate(parts))
        recall = " ".join(f"{emotion} {share:.2f}" for emotion, share in metrics.recall.items())
        print(f"{artefact!s:<16}{metrics.accuracy:>10.4f}{metrics.macro_f1:>10.4f}{metrics.ece:>8.4f}   {recall}")
        classifier.close()
