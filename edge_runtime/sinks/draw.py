"""Boxes, labels and bars on a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.results import Face

Image = NDArray[np.uint8]

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
_MOSAIC = 6
"""Cells across a hidden face: nobody is known again from 36 grey values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a frame is drawn. ``bars``: the seven probabilities beside each face. ``blur``: faces are made unknowable."""

    bars: bool = False
    blur: bool = False


PLAIN = Style()


def annotate(image: Image, faces: tuple[Face, ...], style: Style = PLAIN) -> Image:
    """Return a copy of ``image`` uint8 (h, w, 3) BGR with each face's box, id, emotion and confidence."""
    canvas = image.copy()
    width = image.shape[1]
    if style.blur:
        for face in faces:
            _hide(canvas, face)
    for face in faces:
        x1, y1, x2, y2 = _corners(face)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), COLOURS_BGR[face.emotion], max(1, round(width / 400)), cv2.LINE_AA)
        if style.bars:
            _bars(canvas, face)
        _label(canvas, face)
    return canvas


def caption(canvas: Image, text: str) -> None:
    """Write a line into the lower left corner of ``canvas``."""
    scale = _scale(canvas)
    (width, height), below = cv2.getTextSize(text, _FONT, scale, 1)
    base = canvas.shape[0] - below - 2
    cv2.rectangle(canvas, (0, base - height - below), (width + 6, canvas.shape[0]), (0, 0, 0), cv2.FILLED)
    cv2.putText(canvas, text, (3, base), _FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)


def _label(canvas: Image, face: Face) -> None:
    x1, y1, *_ = _corners(face)
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
    """Draw the probabilities as seven bars along the right side of the face, the most probable reach half across."""
    _, y1, x2, y2 = _corners(face)
    step = (y2 - y1) / len(EMOTIONS)
    reach = (y2 - y1) / 2
    for row, (emotion, share) in enumerate(zip(EMOTIONS, face.probabilities.tolist(), strict=True)):
        top, bottom = round(y1 + row * step) + 1, round(y1 + (row + 1) * step) - 1
        if bottom > top:
            cv2.rectangle(canvas, (round(x2 - share * reach), top), (x2, bottom), COLOURS_BGR[emotion], cv2.FILLED)


def _hide(canvas: Image, face: Face) -> None:
    x1, y1, x2, y2 = _corners(face)
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


def _corners(face: Face) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(side) for side in face.box_xyxy)
    return x1, y1, x2, y2


def _scale(canvas: Image) -> float:
    width: int = canvas.shape[1]
    return max(0.4, width / 1400)
