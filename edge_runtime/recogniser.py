"""A frame in, all its faces with their emotions out, in one call."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.backends.base import Device
from edge_runtime.emotions.classifier import EmotionClassifier
from edge_runtime.emotions.contract import EngineChoice, Precision
from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.emotions.smooth import Smoother
from edge_runtime.faces.align import align, alignable
from edge_runtime.faces.detectors import DetectorName, ReducedDetector, check_picture, open_detector
from edge_runtime.faces.flow import Flow
from edge_runtime.faces.track import KEPT_NS, Tracker
from edge_runtime.options import require
from edge_runtime.pace import Pace
from edge_runtime.results import MAX_SIDE_PX, NO_DETECTIONS, DetectionReport, Detections, Face, Frame, FrameResult

STAGES = ("detect", "track", "align", "classify")
"""The stages that ``FrameResult.stage_ms`` gives, in the order in which a frame passes them."""


class Recogniser:
    """Finds, follows and reads the faces of one video, or of pictures; call it with one frame after the other.

    The detector looks at every ``detect_every``-th frame, and sooner where following the faces is in doubt; with a
    ``budget_ms`` a frame, as often and on as large a picture as the budget allows. Each face is read in every frame.
    """

    def __init__(
        self,
        classifier: EmotionClassifier,
        detector: ReducedDetector,
        *,
        detect_every: int = 3,
        budget_ms: float | None = None,
        min_face: int = 0,
        min_score: float = 0.0,
        raw: bool = False,
    ) -> None:
        """Join a classifier and a detector. ``raw``: no averaging over time, the most probable emotion is shown.

        ``min_face`` in pixels of the frame and ``min_score`` in [0, 1]: faces that are found below them are not shown.
        Raises ``UsageError`` for values out of range.
        """
        for name, value, holds, expected in (
            ("detect_every", detect_every, detect_every >= 1, "at least 1"),
            ("budget_ms", budget_ms, budget_ms is None or budget_ms > 0, "more than 0"),
            ("min_face", min_face, min_face >= 0, "at least 0"),
            ("min_score", min_score, 0 <= min_score <= 1, "0 to 1"),
        ):
            require(name, value, holds=holds, expected=expected)
        self.classifier, self.detector, self.raw = classifier, detector, raw
        self._widest = detector.detect_width
        self._every, self._budget_ms, self._min_face, self._min_score = detect_every, budget_ms, min_face, min_score
        self.reset()

    @classmethod
    def load(
        cls,
        bundle: str | Path = "student",
        *,
        engine: EngineChoice = "auto",
        precision: Precision = "int8",
        threads: int = 1,
        device: Device = "CPU",
        detector: DetectorName = "auto",
        detect_every: int = 3,
        detect_width: int = 320,
        budget_ms: float | None = None,
        min_face: int = 0,
        min_score: float = 0.0,
        raw: bool = False,
    ) -> Recogniser:
        """Load a bundle and a detector; see ``EmotionClassifier.load`` and ``open_detector`` for what can go wrong."""
        import cv2

        cv2.setNumThreads(threads)
        return cls(
            EmotionClassifier.load(bundle, engine=engine, precision=precision, threads=threads, device=device),
            open_detector(detector, detect_width=detect_width),
            detect_every=detect_every,
            budget_ms=budget_ms,
            min_face=min_face,
            min_score=min_score,
            raw=raw,
        )

    def reset(self) -> None:
        """Forget all faces: the next frame is of another video, or a picture for itself."""
        self._tracker, self._flow, self._smoother = Tracker(), Flow(), Smoother()
        self._before: tuple[int, tuple[int, ...]] | None = None
        self._pace = Pace(interval=self._every, budget_ms=self._budget_ms, widest=self._widest)
        self.detector.detect_width = self._widest

    def __call__(self, frame: Frame | NDArray[np.uint8], *, still: bool = False) -> tuple[Face, ...]:
        """Return the faces of a source's frame, or of an image uint8 (h, w, 3) BGR of this moment, from left to right.

        An image is taken for the newest one of a live video, or, ``still``, for a picture for itself. Of a file pass
        the frames: they know its time, and which pictures are no video.
        """
        if not isinstance(frame, Frame):
            frame = Frame(image=frame, index=0, captured_ns=time.monotonic_ns(), still=still)
        return self.process(frame).faces

    def process(self, frame: Frame) -> FrameResult:
        """Return the faces of ``frame`` from left to right, and the milliseconds of each stage.

        A still picture is looked at as if there had been none before it. An empty one holds no face. Raises
        ``UsageError`` when the picture is not uint8 (h, w, 3).
        """
        import cv2

        check_picture(frame.image)
        if frame.still:
            self.reset()
        elif self._lost(frame):
            self._tracker.forget()
            self._flow = Flow()
            self._pace.at_once()
        if not frame.image.size:
            report = DetectionReport(ran=False, every=self._pace.interval, width=self._pace.width)
            return FrameResult(frame=frame, faces=(), stage_ms=dict.fromkeys(STAGES, 0.0), detection=report)
        started, now_ns, tracker = time.perf_counter_ns(), frame.captured_ns, self._tracker
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
        motion = self._flow.advance(grey, tracker.faces.boxes_xyxy)
        tracker.move(motion)
        shown = tracker.shown(now_ns)
        followed = time.perf_counter_ns()
        detect = self._pace.due(doubt=not motion.sure[shown].all())
        report = DetectionReport(ran=detect, every=self._pace.interval, width=self._pace.width)
        if detect:
            found, hidden_xyxy = self._find(frame)
        detected = time.perf_counter_ns()
        if detect:
            tracker.update(found, now_ns)
            if len(hidden_xyxy):
                tracker.hide(hidden_xyxy, now_ns)
            shown = tracker.shown(now_ns)
        faces = tracker.faces.select(shown)
        tracked = time.perf_counter_ns()
        readable = alignable(faces.landmarks)
        faces, ids = faces.select(readable), tracker.ids[shown][readable]
        crops = align(grey, faces.landmarks, self.classifier.card.input.crop.margin)
        aligned = time.perf_counter_ns()
        results = self._name(faces, ids, self.classifier.probabilities(crops), now_ns)
        classified = time.perf_counter_ns()
        detect_ms = (detected - followed) / 1e6
        stage_ms = {
            "detect": detect_ms,
            "track": (followed - started + tracked - detected) / 1e6,
            "align": (aligned - tracked) / 1e6,
            "classify": (classified - aligned) / 1e6,
        }
        self._pace.learn(detect_ms if detect else None, (classified - started) / 1e6 - detect_ms)
        self.detector.detect_width = self._pace.width
        unshown = ~np.isin(tracker.ids, ids)
        return FrameResult(
            frame=frame,
            faces=results,
            stage_ms=stage_ms,
            detection=report,
            unshown_xyxy=tuple(map(tuple, tracker.faces.boxes_xyxy[unshown].tolist())),
        )

    def _lost(self, frame: Frame) -> bool:
        """Tell whether nothing is known of where the faces have gone: a camera was away, or shows another size."""
        before, self._before = self._before, (frame.captured_ns, frame.image.shape)
        return before is not None and (frame.captured_ns - before[0] > KEPT_NS or frame.image.shape != before[1])

    def _find(self, frame: Frame) -> tuple[Detections, NDArray[np.float32]]:
        """Return the faces to show, and the boxes (n, 4) of what was found besides."""
        found = self.detector.detect(frame.image, frame.reduced)
        found = found.select(np.all(np.abs(found.boxes_xyxy) <= MAX_SIDE_PX, axis=1))
        sides = (found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]).min(axis=1)
        wanted = alignable(found.landmarks) & (sides >= max(self._min_face, 1)) & (found.scores >= self._min_score)
        if wanted.all():
            return found, NO_DETECTIONS.boxes_xyxy
        return found.select(wanted), found.boxes_xyxy[~wanted & (sides >= 1)]

    def _name(
        self, faces: Detections, ids: NDArray[np.int64], probabilities: NDArray[np.float32], now_ns: int
    ) -> tuple[Face, ...]:
        """Give each face its probabilities and emotion, as they are or smoothed."""
        named = []
        for track, box, score, raw in zip(
            ids.tolist(), faces.boxes_xyxy.tolist(), faces.scores, probabilities, strict=True
        ):
            smooth, label = (raw, int(raw.argmax())) if self.raw else self._smoother.update(track, raw, now_ns)
            face = Face(
                track_id=track,
                box_xyxy=tuple(box),
                score=float(score),
                probabilities=smooth,
                emotion=EMOTIONS[label],
            )
            named.append(face)
        self._smoother.forget(now_ns)
        return tuple(named)

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
