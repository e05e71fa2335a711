"""What ``fer-edge evaluate`` can measure: a bundle's artefacts, trained weights, and several weights as an ensemble."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.backends.base import installed_engines
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import BundleError, NotInstalledError
from edge_runtime.scoring.metrics import softmax

WEIGHTS_PREDICTOR = "distill.networks:predictor"
"""Where trained weights become a function; named and not imported, for a device has no torch."""

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Faces uint8 (n, 48, 48) to probabilities float32 (n, 7), before any temperature."""

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Something that names emotions; ``temperature`` is the one it is shipped with."""

    name: str
    predict: Predict
    temperature: float = 1.0


def of_bundle(bundle: str, threads: int, refused: list[BundleError]) -> Iterator[Candidate]:
    """Yield each artefact whose engine is installed, loaded when it is asked for and closed when the next is.

    One that is refused on this machine is named and left out; why is added to ``refused``. Raises
    ``NotInstalledError`` at its end where no engine is installed.
    """
    tried = 0
    for artefact in read_card(bundle_folder(bundle)).artefacts:
        if artefact.engine not in installed_engines():
            print(f"{artefact!s:<16} engine not installed")
            continue
        tried += 1
        try:
            classifier = EmotionClassifier.load(
                bundle, engine=artefact.engine, precision=artefact.precision, threads=threads
            )
        except BundleError as error:
            print(f"{artefact!s:<16} refused: {error}")
            refused.append(error)
            continue
        yield Candidate(
            name=str(artefact), predict=_in_batches(classifier.logits), temperature=classifier.card.temperature
        )
        classifier.close()
    if not tried:
        expected, step = "an engine that it has an artefact for", "pip install ai-edge-litert, onnxruntime or openvino"
        raise NotInstalledError(f"bundle {bundle}", expected=expected, got="none installed", next_step=step)


def of_weights(folders: Sequence[Path], threads: int) -> Iterator[Candidate]:
    """Yield each trained network, and after several of them the mean of their probabilities."""
    module, _, name = WEIGHTS_PREDICTOR.partition(":")
    try:
        predictor = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        step = "from a checkout, pip install -e '.[train]'"
        got = f"no {error.name}"
        raise NotInstalledError("--weights", expected="the workstation side", got=got, next_step=step) from error
    networks = [Candidate(name=str(folder), predict=_in_batches(predictor(folder, threads))) for folder in folders]
    yield from networks
    if len(networks) > 1:
        yield Candidate(name=f"ensemble of {len(networks)}", predict=mean_of([c.predict for c in networks]))


def mean_of(predictors: Sequence[Predict]) -> Predict:
    """Average the probabilities of several predictors."""
    return lambda faces: np.mean([predict(faces) for predict in predictors], axis=0, dtype=np.float32)


def mirrored(candidate: Candidate) -> Candidate:
    """Average a candidate over each face and its mirror image, and say so in its name."""
    both = mean_of([candidate.predict, lambda faces: candidate.predict(np.ascontiguousarray(faces[..., ::-1]))])
    return Candidate(name=candidate.name + ", mirror averaged", predict=both, temperature=candidate.temperature)


def _in_batches(logits: Predict) -> Predict:
    def predict(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = [logits(faces[i : i + _BATCH]) for i in range(0, len(faces), _BATCH)]
        return softmax(np.concatenate(parts))

    return predict
