"""``fer-edge baselines``: the systems that the paper compares with, hand-made features under classic classifiers.

HOG (Dalal & Triggs 2005) and LBP (Ojala et al. 2002) by scikit-image; linear and RBF support vector machines and
nearest neighbours by scikit-learn. The single-stream CNN of the comparison is ``fer-edge train`` with the paper's three
additions off.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog, local_binary_pattern
from sklearn.base import ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from tqdm import tqdm

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import DataError
from edge_runtime.files import make_folder, write_text
from edge_runtime.options import data_path
from edge_runtime.scoring.datasets import read_faces
from edge_runtime.scoring.metrics import score
from train.config import BaselineOptions

CELL = 8
"""Side in pixels of the cells that both descriptors take histograms of: 6×6 cells a face."""

NEIGHBOURS = 20


def hog_features(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histograms of oriented gradients of faces uint8 (n, 48, 48): eight directions, blocks of 2×2 cells: (n, 800)."""
    cells = {"orientations": 8, "pixels_per_cell": (CELL, CELL), "cells_per_block": (2, 2)}
    rows = [hog(face, **cells) for face in tqdm(faces, "HOG", unit="face", leave=False, disable=None)]
    return np.asarray(rows, np.float32)


def lbp_features(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histograms of the 59 uniform local binary patterns in each cell of faces uint8 (n, 48, 48): (n, 2124)."""
    rows = []
    for face in tqdm(faces, "LBP", unit="face", leave=False, disable=None):
        codes = local_binary_pattern(face, P=8, R=1, method="nri_uniform").astype(int)
        side = face.shape[0] // CELL
        cells = codes.reshape(side, CELL, side, CELL).swapaxes(1, 2).reshape(side * side, -1)
        rows.append(np.concatenate([np.bincount(cell, minlength=59) for cell in cells]))
    return np.sqrt(np.asarray(rows, np.float32))  # the Hellinger distance suits histograms


def classifiers(seed: int, features: int) -> dict[str, Callable[[], ClassifierMixin]]:
    """Name -> classifier, each over standardised features; the two slow ones see their 200 principal components."""
    components = min(200, features)
    return {
        "linear SVM": lambda: make_pipeline(StandardScaler(), LinearSVC(C=0.001, random_state=seed)),
        "RBF SVM": lambda: make_pipeline(
            StandardScaler(), PCA(components, random_state=seed), SVC(C=5, cache_size=1000)
        ),
        "kNN": lambda: make_pipeline(
            StandardScaler(), PCA(components, random_state=seed), KNeighborsClassifier(NEIGHBOURS, weights="distance")
        ),
    }


def baselines(options: BaselineOptions) -> None:
    """Fit each system on Training, score it on PublicTest, print a table and write ``baselines.json``."""
    data = data_path(options.data)
    training, public = read_faces(data, "Training"), read_faces(data, "PublicTest")
    print(f"{training.described} · {public.described}")
    if len(training) < NEIGHBOURS:
        expected, step = f"at least {NEIGHBOURS}, the neighbours of kNN", "name more faces with --data"
        raise DataError("too few Training faces", expected=expected, got=str(len(training)), next_step=step)
    if len(set(training.labels.tolist())) == 1:
        step = "name more faces with --data"
        raise DataError("Training faces", expected="two emotions at least", got="one", next_step=step)
    make_folder(options.out)
    found = {}
    print(f"{'system':<18}{'accuracy':>10}{'macro-F1':>10}{'fit s':>9}{'ms/face':>9}")
    for descriptor, describe in (("HOG", hog_features), ("LBP", lbp_features)):
        seen, began = describe(training.images), time.perf_counter()
        unseen = describe(public.images)
        describing = time.perf_counter() - began
        for name, make in classifiers(options.seed, min(seen.shape)).items():
            started = time.perf_counter()
            fitted = make().fit(seen, training.labels)
            between = time.perf_counter()
            answers = fitted.predict(unseen)
            ended = time.perf_counter()
            metrics = score(public.labels, np.eye(len(EMOTIONS), dtype=np.float32)[answers])
            system, ms = f"{descriptor} + {name}", (describing + ended - between) * 1000 / len(public)
            found[system] = {"accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1}
            found[system] |= {"fit_seconds": between - started, "ms_per_face": ms}
            figures = f"{metrics.accuracy:>10.4f}{metrics.macro_f1:>10.4f}"
            print(f"{system:<18}{figures}{between - started:>9.0f}{ms:>9.2f}", flush=True)
    document = {"split": public.split, "data_sha256": public.sha256, "seed": options.seed, "systems": found}
    write_text(options.out / "baselines.json", json.dumps(document, indent=1) + "\n")
    print(f"written to {options.out / 'baselines.json'}")
