"""Boxes and labels on a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.results import Face

# B, G, R; told apart by people who do not see red and green as different (after Okabe & Ito 2008)
COLOURS_BGR = {
    "angry": (0, 94, 213),
    "disgust": (115, 158, 0),
    "fear": (167, 121, 204),
    "happy": (66, 228, 240),
    "sad": (178, 114, 0),
    "surprise": (0, 159, 230),
    "neutral": (220, 220, 220),
}
_FONT = cv2.FONT_HERSHEY_DUPLEX


def annotate(image: NDArray[np.uint8], faces: tuple[Face, ...]) -> NDArray[np.uint8]:
    """Return a copy of ``image`` uint8 (h, w, 3) BGR with each face's box, id, emotion and confidence."""
    canvas = image.copy()
    width = image.shape[1]
    scale = max(0.4, width / 1400)
    for face in faces:
        colour = COLOURS_BGR[face.emotion]
        x1, y1, x2, y2 = (round(side) for side in face.box_xyxy)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, max(1, round(width / 400)), cv2.LINE_AA)
        text = f"{face.track_id} {face.emotion} {face.confidence:.0%}"
        (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, 1)
        # above the box, or inside its top where the picture ends; never cut off at the sides
        left = max(0, min(x1, width - text_width - 5))
        base = y1 - below if y1 - text_height - 2 * below >= 0 else y1 + text_height + below
        cv2.rectangle(
            canvas, (left, base - text_height - below), (left + text_width + 4, base + below), colour, cv2.FILLED
        )
        cv2.putText(canvas, text, (left + 2, base), _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas
