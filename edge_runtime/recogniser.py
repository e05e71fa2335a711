"""A frame in, all its faces with their emotions out, in one call."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.classifier import EmotionClassifier
from edge_runtime.emotions.contract import EngineChoice, Precision
from edge_runtime.faces.align import align, alignable
from edge_runtime.faces.detectors import Detector, DetectorName, open_detector
from edge_runtime.faces.track import Tracker
from edge_runtime.results import Face, Frame, FrameResult


class Recogniser:
    """Detects, aligns, classifies and follows the faces of one video; call it with one frame after the other."""

    def __init__(self, classifier: EmotionClassifier, detector: Detector) -> None:
        """Join a classifier and a detector; tracking starts anew."""
        self.classifier, self.detector = classifier, detector
        self._tracker = Tracker()

    @classmethod
    def load(
        cls,
        bundle: str | Path = "student",
        *,
        engine: EngineChoice = "auto",
        precision: Precision = "int8",
        threads: int = 1,
        detector: DetectorName = "auto",
    ) -> Recogniser:
        """Load a bundle and a detector; see ``EmotionClassifier.load`` and ``open_detector`` for what can go wrong."""
        import cv2

        cv2.setNumThreads(threads)
        return cls(
            EmotionClassifier.load(bundle, engine=engine, precision=precision, threads=threads), open_detector(detector)
        )

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Face, ...]:
        """Return the faces of ``image`` uint8 (h, w, 3) BGR, from left to right."""
        return self.process(Frame(image=image, index=0, captured_ns=time.monotonic_ns())).faces

    def process(self, frame: Frame) -> FrameResult:
        """Return the faces of ``frame`` from left to right, and the milliseconds of each stage."""
        import cv2

        started = time.perf_counter_ns()
        found = self.detector.detect(frame.image)
        detected = time.perf_counter_ns()
        found = found.select(alignable(found.landmarks))
        found = found.select(np.argsort(found.boxes_xyxy[:, 0], kind="stable"))
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
        crops = align(grey, found.landmarks, self.classifier.card.input.crop.margin)
        aligned = time.perf_counter_ns()
        probabilities = self.classifier.probabilities(crops)
        classified = time.perf_counter_ns()
        ids = self._tracker.update(found.boxes_xyxy)
        faces = tuple(
            Face(
                track_id=int(ids[i]),
                box_xyxy=(x1, y1, x2, y2),
                score=float(found.scores[i]),
                probabilities=probabilities[i],
            )
            for i, (x1, y1, x2, y2) in enumerate(found.boxes_xyxy.tolist())
        )
        tracked = time.perf_counter_ns()
        marks = (started, detected, aligned, classified, tracked)
        stage_ms = {name: (after - before) / 1e6 for name, before, after in zip(STAGES, marks, marks[1:], strict=False)}
        return FrameResult(frame=frame, faces=faces, stage_ms=stage_ms)

    def close(self) -> None:
        """Free the engine."""
        self.classifier.close()

    def __enter__(self) -> Self:
        """Return the recogniser."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the engine."""
        self.close()


STAGES = ("detect", "align", "classify", "track")
"""The stages that ``FrameResult.stage_ms`` gives, in the order in which a frame passes them."""
