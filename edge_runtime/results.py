"""What the device side hands from stage to stage: frames, detections, faces, frame results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import UsageError

LANDMARKS = ("right eye", "left eye", "nose", "right mouth corner", "left mouth corner")
"""Order of the five landmarks: the person's right eye first, which is the left one in the picture."""

MAX_SIDE_PX = 32_766
"""Largest side of a picture: what OpenCV's warps can address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture of a source.

    ``image``: uint8 (h, w, 3) BGR. ``captured_ns``: nanoseconds on a clock that never runs back: the monotonic clock
    of a live source, the place in the clip of a file. ``dropped``: frames of a live source that were never taken, up
    to this one. ``reduced``: the same picture in grey, uint8 (h', w'), where the camera delivers a small one as well.
    ``still``: a picture for itself, not the next moment of a video; ``picture``: the name of its file.
    """

    image: NDArray[np.uint8]
    index: int
    captured_ns: int
    dropped: int = 0
    reduced: NDArray[np.uint8] | None = None
    still: bool = False
    picture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """The faces that a detector found in one picture, in pixels of that picture, as arrays over n faces.

    ``boxes_xyxy``: float32 (n, 4), left, top, right, bottom; may reach outside the picture. ``scores``: float32 (n,)
    in [0, 1].
    ``landmarks``: float32 (n, 5, 2), x and y in the order of ``LANDMARKS``.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse arrays whose shapes do not belong together."""
        n = len(self.scores)
        shapes = self.boxes_xyxy.shape, self.scores.shape, self.landmarks.shape
        if shapes != ((n, 4), (n,), (n, 5, 2)):
            expected = "(n, 4), (n,), (n, 5, 2)"
            raise UsageError(
                "shapes of boxes, scores and landmarks",
                expected=expected,
                got=f"{shapes}",
                next_step="correct the detector",
            )

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.scores)

    def select(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Detections:
        """Return the faces that a mask (n,) keeps, or those of an index array in its order."""
        return Detections(boxes_xyxy=self.boxes_xyxy[index], scores=self.scores[index], landmarks=self.landmarks[index])


NO_DETECTIONS = Detections(
    boxes_xyxy=np.empty((0, 4), np.float32), scores=np.empty(0, np.float32), landmarks=np.empty((0, 5, 2), np.float32)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One face of a frame.

    ``track_id``: the same for the same face from frame to frame, from 1. ``box_xyxy``: pixels of the frame.
    ``score``: the detector's, in [0, 1]. ``probabilities``: float32 (7,), calibrated and, unless raw ones were asked
    for, averaged over time, in the order of ``EMOTIONS``. ``emotion``: the one to show; it lags behind the most
    probable one a little, so that it does not flicker.
    """

    track_id: int
    box_xyxy: tuple[float, float, float, float]
    score: float
    probabilities: NDArray[np.float32]
    emotion: str

    @property
    def confidence(self) -> float:
        """Probability of ``emotion``, in [0, 1]."""
        return float(self.probabilities[EMOTIONS.index(self.emotion)])


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionReport:
    """How faces were found in a frame. ``ran``: by the detector, or else by following them from the frame before.

    ``every``: the detector's turn comes each so many frames. ``width``: pixels of the picture that it reads.
    """

    ran: bool
    every: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameResult:
    """All faces of one frame, from left to right, what each stage took in milliseconds, and how detection was done.

    ``unshown_xyxy``: boxes of what may be faces, too: found once so far, not found lately, or not what was asked for.
    """

    frame: Frame
    faces: tuple[Face, ...]
    stage_ms: dict[str, float]
    detection: DetectionReport
    unshown_xyxy: tuple[tuple[float, float, float, float], ...] = ()
