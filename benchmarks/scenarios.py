"""The scenarios: faces (so many in a batch) and frame (the whole way of a frame of a clip, by stage)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.clock import Latency, interleave
from edge_runtime.emotions import selftest
from edge_runtime.emotions.backends.base import installed_engines
from edge_runtime.emotions.backends.null import NullBackend
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import NotInstalledError, SourceError
from edge_runtime.faces.align import align, alignable
from edge_runtime.faces.detectors import ReducedDetector
from edge_runtime.recogniser import STAGES, Recogniser
from edge_runtime.results import Frame
from edge_runtime.sources import open_source

CLIP_FRAMES = 60
"""Frames of the clip kept in memory (55 MB at 640×480), evenly spread over it: decoding is not what is measured."""

NULL = "null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One loaded artefact. Loading is reading, verifying, compiling and the self-test; the first call is apart."""

    classifier: EmotionClassifier
    load_ms: float
    first_ms: float


def load_candidates(bundle: str, threads: int) -> dict[str, Candidate]:
    """Load every artefact of ``bundle`` whose engine is installed.

    The null backend is among the candidates: its times are the harness's own.
    """
    installed = installed_engines()
    card = read_card(bundle_folder(bundle))
    candidates = {}
    for artefact in card.artefacts:
        if artefact.engine not in installed:
            continue
        started = time.perf_counter()
        classifier = EmotionClassifier.load(
            bundle, engine=artefact.engine, precision=artefact.precision, threads=threads
        )
        loaded = time.perf_counter()
        classifier.probabilities(selftest.faces(1, 1))
        first = time.perf_counter()
        candidates[str(artefact)] = Candidate(
            classifier=classifier, load_ms=(loaded - started) * 1e3, first_ms=(first - loaded) * 1e3
        )
    if not candidates:
        step = "pip install 'fer-edge[pi]' or 'fer-edge[nuc]'"
        raise NotInstalledError(
            "nothing to measure", expected="an engine of the bundle", got="none installed", next_step=step
        )
    idle = EmotionClassifier(card, card.artefacts[0], NullBackend())
    return candidates | {NULL: Candidate(classifier=idle, load_ms=0.0, first_ms=0.0)}


def read_clip(address: str) -> list[Frame]:
    """Read a clip whole, then keep ``CLIP_FRAMES`` evenly spread frames of it."""
    with open_source(address) as source:
        if source.live:
            step = "record a file, or name synthetic:PICTURE"
            raise SourceError(
                "benchmark clip", expected="a file: live frames differ from run to run", got=address, next_step=step
            )
        frames = list(source)
    return frames[:: -(-len(frames) // CLIP_FRAMES)]


def crops_of(clip: list[Frame], detector: ReducedDetector, margin: float) -> NDArray[np.uint8]:
    """Cut all faces uint8 (n, 48, 48) out of the clip; raise ``SourceError`` when there is none."""
    import cv2

    crops = []
    for frame in clip:
        landmarks = detector.detect(frame.image).landmarks
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
        crops.append(align(grey, landmarks[alignable(landmarks)], margin))
    faces = np.concatenate(crops)
    if not len(faces):
        raise SourceError(
            "benchmark clip", expected="at least one face", got="none", next_step="name another clip with --source"
        )
    return faces


def faces_scenario(
    candidates: dict[str, Candidate], crops: NDArray[np.uint8], n: int, *, min_seconds: float, min_count: int
) -> dict[str, Latency]:
    """Time the classification of ``n`` faces in one call: normalise, infer, softmax. Each call gets other faces."""
    batches = [crops[(start + np.arange(n)) % len(crops)] for start in range(len(crops))]

    def call(classifier: EmotionClassifier, number: int) -> None:
        classifier.probabilities(batches[number % len(batches)])

    calls = {
        name: lambda number, classifier=candidate.classifier: call(classifier, number)
        for name, candidate in candidates.items()
    }
    return interleave(calls, min_seconds=min_seconds, min_count=min_count, label=f"faces {n}")


def frame_scenario(
    candidates: dict[str, Candidate], detector: ReducedDetector, clip: list[Frame], *, min_count: int
) -> dict[str, dict[str, Latency]]:
    """Time whole frames by stage: candidate -> stage (and "total") -> latency.

    Candidates take turns, frame by frame.
    """
    recognisers = {name: Recogniser(candidate.classifier, detector) for name, candidate in candidates.items()}
    samples: dict[str, dict[str, list[float]]] = {
        name: {stage: [] for stage in (*STAGES, "total")} for name in candidates
    }
    warm_up = len(clip)  # once through the clip, not counted
    for number, frame in zip(
        tqdm(range(-warm_up, min_count), desc="frames", unit="frame", leave=False, disable=None),
        cycle(clip),
        strict=False,
    ):
        for name, recogniser in recognisers.items():
            stage_ms = recogniser.process(frame).stage_ms
            if number >= 0:
                for stage, taken in samples[name].items():
                    taken.append(sum(stage_ms.values()) if stage == "total" else stage_ms[stage])
    return {name: {stage: Latency.of(taken) for stage, taken in stages.items()} for name, stages in samples.items()}
