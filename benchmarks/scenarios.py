"""The scenarios, after MLPerf's: each yields what it measured, case by case. The one with a camera is in ``paced``."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import count

import numpy as np

from benchmarks.clock import TURN, Call, is_timed
from benchmarks.session import Candidate, Measured, Session
from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.emotions.normalise import normalise
from edge_runtime.faces.align import align
from edge_runtime.recogniser import STAGES, Recogniser
from edge_runtime.results import FrameResult
from edge_runtime.scoring.datasets import FaceSet
from edge_runtime.scoring.metrics import intervals, score

ENGINE_ALONE = "engine alone"
SLICE_S = 30.0
LEAST_S = 2.0
"""Of a steady run: it has two slices at least, which are called by their seconds."""


def single(session: Session) -> Iterator[Measured]:
    """Time one face: a normalised one through the engine alone, and a crop through all that names its emotion."""
    crops = [crop[None] for crop in session.crops]
    n = len(crops)

    def engine_alone(candidate: Candidate) -> Call:
        reads, infer = candidate.classifier.card.input, candidate.classifier.backend.infer
        batches = [normalise(crop, reads.mean, reads.std) for crop in crops]
        return lambda number: infer(batches[number % n])

    def face(candidate: Candidate) -> Call:
        name_emotion = candidate.classifier.probabilities
        return lambda number: name_emotion(crops[number % n])

    yield session.measure("single", ENGINE_ALONE, 1, engine_alone)
    yield session.measure("single", "face", 1, face)


def faces(session: Session, numbers: Sequence[int]) -> Iterator[Measured]:
    """Time ``n`` faces of one frame, found beforehand: align, normalise, infer, softmax."""
    for n in numbers:
        crowds = [(scene.grey, scene.crowd(n)) for scene in session.scenes]

        def crowd(candidate: Candidate, crowds: list[tuple[np.ndarray, np.ndarray]] = crowds) -> Call:
            classifier, margin = candidate.classifier, candidate.classifier.card.input.crop.margin

            def call(number: int) -> None:
                grey, landmarks = crowds[number % len(crowds)]
                classifier.probabilities(align(grey, landmarks, margin))

            return call

        yield session.measure("faces", f"{n}", n, crowd)


def frame(session: Session) -> Iterator[Measured]:
    """Time whole frames of the clip, and each stage of them."""
    stages: dict[str, list[dict[str, float]]] = {name: [] for name in session.candidates}

    def whole_frame(candidate: Candidate) -> Call:
        look, taken = _look(session, candidate), stages[candidate.name]
        return lambda number: taken.append(look(number).stage_ms)

    measured = session.measure("frame", "", 0, whole_frame)
    for name, samples in measured.samples.items():
        timed = [stage_ms for number, stage_ms in enumerate(stages[name]) if is_timed(number)]
        kept = timed[: len(samples[""])]  # who died had begun another turn
        samples |= {stage: [stage_ms[stage] for stage_ms in kept] for stage in STAGES}
    yield measured


def offline(session: Session, batches: Sequence[int]) -> Iterator[Measured]:
    """Time batches of crops, as many at once as are given: throughput."""
    for size in batches:
        starts = range(len(session.crops))
        crops = [session.crops[(start + np.arange(size)) % len(session.crops)] for start in starts]

        def batch(candidate: Candidate, crops: list[np.ndarray] = crops) -> Call:
            name_emotions = candidate.classifier.probabilities
            return lambda number: name_emotions(crops[number % len(crops)])

        yield session.measure("offline", f"{size}", size, batch)


def steady(session: Session, duration_s: float) -> Iterator[Measured]:
    """Time whole frames without a pause, about half a minute after the other: does the machine become slower.

    A slice holds a turn of each candidate at least, however long that takes, and is called by when it began.
    """
    calls: dict[str, Call] = {candidate.name: _look(session, candidate) for candidate in session.engines}
    slice_s = min(SLICE_S, duration_s / 2)
    began_s = time.monotonic()
    at_s, place = 0.0, 0
    while calls and (place < 2 or at_s < duration_s - slice_s / 2):  # noqa: PLR2004  (the first, and one to compare)
        case = f"{int(at_s) // 60}:{int(at_s) % 60:02d}"
        turns = session.turns(
            calls, label=f"steady {case}", min_seconds=slice_s / len(calls), min_count=TURN, warm_up=place == 0
        )
        calls = {name: call for name, call in calls.items() if name in session.candidates}
        yield Measured.of(turns, "steady", case, 0)
        at_s, place = time.monotonic() - began_s, place + 1


def accuracy(session: Session, labelled: FaceSet, without: Container[str] = ()) -> Iterator[Measured]:
    """Name the emotion of every labelled face, one at a time: how long it took, and how often it was right.

    ``without``: candidates that have learned nothing.
    """
    n = len(labelled)
    asked = [candidate for candidate in session.engines if candidate.name not in without]
    answers = {candidate.name: np.empty((n, len(EMOTIONS)), np.float32) for candidate in asked}

    def name_face(candidate: Candidate) -> Call:
        classifier, answer = candidate.classifier, answers[candidate.name]

        def call(number: int) -> None:
            place = number % n
            answer[place] = classifier.probabilities(labelled.images[place : place + 1])[0]

        return call

    calls = {candidate.name: name_face(candidate) for candidate in asked}
    label = f"accuracy {labelled.split}"
    turns = session.turns(calls, label=label, min_seconds=0, min_count=n)
    figures = {}
    for name in calls.keys() & session.candidates.keys():  # whoever died has not seen all faces
        metrics = score(labelled.labels, answers[name])
        low, high = intervals(metrics)["accuracy"]
        figures[name] = {
            "n": metrics.n,
            "accuracy": metrics.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "macro_f1": metrics.macro_f1,
            "ece": metrics.ece,
        }
    yield Measured.of(turns, "accuracy", labelled.split, 1, figures)


def _look(session: Session, candidate: Candidate) -> Callable[[int], FrameResult]:
    """Return what passes frame after frame of the clip through a recogniser of the candidate's own.

    It counts them itself: the recogniser lives on through the slices of a run, and its clock must not go back.
    """
    recogniser, clip, numbers = Recogniser(candidate.classifier, session.detector), session.clip, count()

    def call(_number: int) -> FrameResult:
        if clip.still:
            recogniser.reset()
        return recogniser.process(clip.frame(next(numbers)))

    return call
