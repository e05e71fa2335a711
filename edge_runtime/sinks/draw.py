"""Boxes, labels and bars on a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.results import Face

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

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
_BARS = 0.4
"""Height of the bars' ground, as a share of the face's."""
_MOSAIC = 6
"""Cells across a hidden face: nobody is known again from 36 grey values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a frame is drawn. ``bars``: the seven probabilities beside each face. ``blur``: faces are made unknowable."""

    bars: bool = False
    blur: bool = False


PLAIN = Style()


def annotate(image: Image, faces: tuple[Face, ...], style: Style = PLAIN, unshown_xyxy: tuple[Box, ...] = ()) -> Image:
    """Return a copy of ``image`` uint8 (h, w, 3) BGR with each face's box, id, emotion and confidence.

    With ``style.blur`` what may be a face in ``unshown_xyxy`` is hidden as well.
    """
    canvas = image.copy()
    width = image.shape[1]
    if style.blur:
        for box in (*(face.box_xyxy for face in faces), *unshown_xyxy):
            _hide(canvas, box)
    for face in faces:
        x1, y1, x2, y2 = _corners(face.box_xyxy)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), COLOURS_BGR[face.emotion], max(1, round(width / 400)), cv2.LINE_AA)
        if style.bars:
            _bars(canvas, face)
        _label(canvas, face)
    return canvas


def caption(canvas: Image, text: str) -> None:
    """Write a line into the lower left corner of ``canvas``, and after it the emotions, each in its colour."""
    scale, left = _scale(canvas), 3
    (_, height), below = cv2.getTextSize("Aq", _FONT, scale, 1)  # a height for all words, whatever their letters
    base = canvas.shape[0] - below - 2
    for word, colour in ((text, (255, 255, 255)), *COLOURS_BGR.items()):
        (width, _), _ = cv2.getTextSize(word, _FONT, scale, 1)
        end = left + width + 2 * height
        cv2.rectangle(canvas, (left - 3, base - height - below), (end, canvas.shape[0]), (0, 0, 0), cv2.FILLED)
        cv2.putText(canvas, word, (left, base), _FONT, scale, colour, 1, cv2.LINE_AA)
        left = end


def _label(canvas: Image, face: Face) -> None:
    x1, y1, *_ = _corners(face.box_xyxy)
    scale = _scale(canvas)
    text = f"{face.track_id} {face.emotion} {face.confidence:.0%}"
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, 1)
    # above the box, or inside its top where the picture ends; never cut off at the sides
    left = max(0, min(x1, canvas.shape[1] - text_width - 5))
    base = y1 - below if y1 - text_height - 2 * below >= 0 else y1 + text_height + below
    top_left, bottom_right = (left, base - text_height - below), (left + text_width + 4, base + below)
    cv2.rectangle(canvas, top_left, bottom_right, COLOURS_BGR[face.emotion], cv2.FILLED)
    cv2.putText(canvas, text, (left + 2, base), _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)


def _bars(canvas: Image, face: Face) -> None:
    """Draw the probabilities as seven columns on a dark ground, below the face: above and beside it may be others."""
    x1, y1, x2, y2 = _corners(face.box_xyxy)
    reach = round((y2 - y1) * _BARS)
    bottom = min(y2 + reach, canvas.shape[0])  # inside the box, where the picture ends
    ground = canvas[max(bottom - reach, 0) : max(bottom, 0), max(x1, 0) : max(x2, 0)]
    ground //= 3
    step = (x2 - x1) / len(EMOTIONS)
    for column, (emotion, share) in enumerate(zip(EMOTIONS, face.probabilities.tolist(), strict=True)):
        left, right = round(x1 + column * step) + 1, round(x1 + (column + 1) * step) - 1
        height = round(share * reach)
        if right >= left and height > 0:
            cv2.rectangle(canvas, (left, bottom - height), (right, bottom - 1), COLOURS_BGR[emotion], cv2.FILLED)


def _hide(canvas: Image, box: Box) -> None:
    x1, y1, x2, y2 = _corners(box)
    # a fifth more on each side: the box ends at the forehead and the ears
    grow_x, grow_y = round((x2 - x1) / 5), round((y2 - y1) / 5)
    height, width = canvas.shape[:2]
    left, right = max(0, x1 - grow_x), min(width, x2 + grow_x)
    top, bottom = max(0, y1 - grow_y), min(height, y2 + grow_y)
    if left >= right or top >= bottom:
        return
    region = canvas[top:bottom, left:right]
    small = cv2.resize(region, (_MOSAIC, _MOSAIC), interpolation=cv2.INTER_AREA)
    region[:] = cv2.resize(small, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)


def _corners(box: Box) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(side) for side in box)
    return x1, y1, x2, y2


def _scale(canvas: Image) -> float:
    width: int = canvas.shape[1]
    return max(0.4, width / 1400)
