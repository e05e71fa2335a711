"""Whatever a detector finds, frame after frame, the loop goes on and its sinks can take the result."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_runtime import Recogniser
from edge_runtime.emotions.backends.null import NullBackend
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import read_card
from edge_runtime.faces.align import _TEMPLATE
from edge_runtime.faces.detectors import ReducedDetector
from edge_runtime.results import Detections, Frame

cv2 = pytest.importorskip("cv2")

from edge_runtime.sinks.draw import Style, annotate  # noqa: E402  (needs cv2)
from edge_runtime.sinks.jsonl import line  # noqa: E402  (as above)

NUMBERS = st.floats(width=32) | st.floats(-200, 200, width=32) | st.sampled_from([3e38, -3e38, 2.0**-149, 0.0])
PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)


@st.composite
def detections(draw: st.DrawFn) -> Detections:
    """Draw up to four faces of any numbers, some of them with landmarks as faces have them."""
    n = draw(st.integers(0, 4))
    landmarks = draw(hnp.arrays(np.float32, (n, 5, 2), elements=NUMBERS))
    landmarks[draw(hnp.arrays(np.bool_, n))] = _TEMPLATE
    return Detections(
        boxes_xyxy=draw(hnp.arrays(np.float32, (n, 4), elements=NUMBERS)),
        scores=draw(hnp.arrays(np.float32, n, elements=st.floats(0, 1, width=32))),
        landmarks=landmarks,
    )


class Scripted:
    """A detector that finds what it is told to."""

    name = "scripted"
    found: Detections

    def detect(self, _: np.ndarray) -> Detections:
        """Find it."""
        return self.found


CARD = read_card(bundle_folder("student"))


@given(
    clip=st.lists(detections(), min_size=1, max_size=4),
    times_ns=st.lists(st.integers(0, 2**62), min_size=4),
    min_score=st.sampled_from([0.0, 0.5]),
)
def test_any_detections_are_followed_and_shown(clip: list[Detections], times_ns: list[int], min_score: float) -> None:
    """Any boxes and landmarks, at any times, give results that can be drawn, hidden and written as strict JSON."""
    detector = Scripted()
    running = Recogniser(
        EmotionClassifier(CARD, CARD.artefacts[0], NullBackend()),
        ReducedDetector(detector=detector, detect_width=320),
        detect_every=1,
        min_score=min_score,
    )
    for index, (found, now_ns) in enumerate(zip(clip, times_ns, strict=False)):
        detector.found = found
        result = running.process(Frame(image=PICTURE, index=index, captured_ns=now_ns))
        assert len(result.faces) <= len(found) + index * 4
        for style in (Style(bars=True), Style(blur=True)):
            assert annotate(PICTURE, result.faces, style, result.unshown_xyxy).shape == PICTURE.shape
        json.dumps(line(result, 0.0), allow_nan=False)
