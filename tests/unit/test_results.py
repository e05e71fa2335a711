"""What passes from stage to stage."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import UsageError
from edge_runtime.results import LANDMARKS, NO_DETECTIONS, Detections, Face


def detections(n: int) -> Detections:
    """Return n faces that are told apart by their numbers."""
    numbers = np.arange(n, dtype=np.float32)
    return Detections(
        boxes_xyxy=numbers[:, None] + np.zeros((n, 4), np.float32),
        scores=numbers / 10,
        landmarks=numbers[:, None, None] + np.zeros((n, 5, 2), np.float32),
    )


def test_confidence_is_that_of_the_shown_emotion() -> None:
    """The confidence is the probability of the emotion that is shown, which need not be the largest."""
    probabilities = np.array([0.1, 0.05, 0.05, 0.2, 0.05, 0.25, 0.3], np.float32)
    face = Face(track_id=1, box_xyxy=(0, 0, 1, 1), score=0.9, probabilities=probabilities, emotion="surprise")
    assert (face.emotion, face.confidence) == ("surprise", 0.25)


def test_select_keeps_what_belongs_together() -> None:
    """A mask and an index array choose the same faces in all three arrays."""
    for chosen, expected in ((np.array([True, False, True]), [0, 2]), (np.array([2, 0]), [2, 0])):
        some = detections(3).select(chosen)
        assert len(some) == 2
        assert some.boxes_xyxy[:, 0].tolist() == expected
        assert some.landmarks[:, 4, 1].tolist() == expected
        np.testing.assert_allclose(some.scores, np.array(expected) / 10)


def test_no_detections_is_empty() -> None:
    """The shared empty result has no face and the right shapes."""
    assert len(NO_DETECTIONS) == 0
    assert NO_DETECTIONS.landmarks.shape == (0, len(LANDMARKS), 2)


@pytest.mark.parametrize(("boxes", "scores", "landmarks"), [(2, 3, 3), (3, 2, 3), (3, 3, 2)])
def test_arrays_of_different_lengths_are_refused(boxes: int, scores: int, landmarks: int) -> None:
    """Boxes, scores and landmarks are of the same faces, or refused."""
    with pytest.raises(UsageError, match="shapes of boxes, scores and landmarks"):
        Detections(
            boxes_xyxy=detections(boxes).boxes_xyxy,
            scores=detections(scores).scores,
            landmarks=detections(landmarks).landmarks,
        )
