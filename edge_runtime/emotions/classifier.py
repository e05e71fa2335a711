"""A bundle's artefact, chosen, verified and self-tested: faces to probabilities, in one call."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions import selftest
from edge_runtime.emotions.backends.base import ENGINES, Backend, Device, installed_engines, open_backend
from edge_runtime.emotions.contract import (
    CARD_NAME,
    Artefact,
    EngineChoice,
    ModelCard,
    Precision,
    read_card,
    read_files,
)
from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.emotions.normalise import normalise
from edge_runtime.errors import BundleError, NotInstalledError
from edge_runtime.options import require
from edge_runtime.scoring.metrics import softmax

SHIPPED = Path(__file__).resolve().parent.parent / "bundles"


class EmotionClassifier:
    """Faces uint8 (n, 48, 48) to calibrated probabilities float32 (n, 7), all in one batch."""

    def __init__(self, card: ModelCard, artefact: Artefact, backend: Backend) -> None:
        """Join a model card, the artefact of it that was taken, and the backend that runs it."""
        self.card, self.artefact, self.backend = card, artefact, backend

    @classmethod
    def load(
        cls,
        bundle: str | Path = "student",
        *,
        engine: EngineChoice = "auto",
        precision: Precision = "int8",
        threads: int = 1,
        device: Device = "CPU",
    ) -> EmotionClassifier:
        """Load one artefact of ``bundle`` (the name of a shipped one, or a folder).

        ``auto`` takes the first installed engine that the bundle has an artefact for, on a ``device`` other than the
        CPU OpenVINO. The files' sha256 are compared and the self-test is run.
        Raises ``BundleError`` when the bundle or the artefact is not as it should be, ``NotInstalledError`` when the
        engine is absent, ``UsageError`` for less than one thread.
        """
        require("threads", threads, holds=threads >= 1, expected="at least 1")
        if engine == "auto" and device != "CPU":
            engine = "openvino"
        folder = bundle_folder(bundle)
        card = read_card(folder)
        artefact = choose(card, engine, precision)
        contents = read_files(folder, artefact)
        try:
            backend = open_backend(artefact.engine, contents, threads, device)
            selftest.check(backend, artefact, card.input)
        except (
            RuntimeError,
            ValueError,
        ) as error:  # what the three engines raise for a network that they cannot load or run
            step = "choose another --engine, or update the engine"
            raise BundleError(
                f"{artefact} of {folder}",
                expected="a network that the engine loads and runs",
                got=str(error),
                next_step=step,
            ) from error
        return cls(card, artefact, backend)

    def logits(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits float32 (n, 7), before the temperature, of faces uint8 (n, 48, 48)."""
        if not len(faces):
            return np.empty((0, len(EMOTIONS)), np.float32)
        return self.backend.infer(normalise(faces, self.card.input.mean, self.card.input.std))

    def probabilities(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return calibrated probabilities float32 (n, 7) of faces uint8 (n, 48, 48)."""
        return softmax(self.logits(faces), self.card.temperature)

    def __str__(self) -> str:
        """Name what was loaded, for people."""
        return f"{self.card.name} {self.artefact.precision} on {self.backend.name} {self.backend.version}"

    def close(self) -> None:
        """Free the engine."""
        self.backend.close()


def shipped_bundles() -> tuple[str, ...]:
    """Return the names of the bundles that come with the package."""
    return tuple(sorted(card.parent.name for card in SHIPPED.glob(f"*/{CARD_NAME}")))


def bundle_folder(bundle: str | Path) -> Path:
    """Return the folder of a shipped bundle's name, or the given path itself."""
    shipped = SHIPPED / bundle
    has_card = os.path.isfile(shipped / CARD_NAME)  # noqa: PTH113  (Path.is_file raises when a name is too long)
    return shipped if Path(bundle).name == str(bundle) and has_card else Path(bundle)


def choose(card: ModelCard, engine: EngineChoice, precision: Precision) -> Artefact:
    """Return the card's artefact of the asked engine and precision.

    ``auto`` takes the first installed engine that has one.
    """
    offered = {artefact.engine: artefact for artefact in card.artefacts if artefact.precision == precision}
    if engine != "auto" and engine in offered:
        return offered[engine]
    if engine == "auto":
        for name in installed_engines():
            if name in offered:
                return offered[name]
        if offered:
            step = f"in the checkout, pip install '.[{ENGINES[next(iter(offered))].extra}]'"
            raise NotInstalledError(
                "inference engine", expected=f"one of {', '.join(offered)}", got="none installed", next_step=step
            )
    has = ", ".join(map(str, card.artefacts))
    raise BundleError(
        f"{engine} {precision} of bundle {card.name}",
        expected=f"one of {has}",
        got="no such artefact",
        next_step="choose one that it has",
    )
