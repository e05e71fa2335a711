"""The seven emotions, in the order in which FER2013 numbers them (Goodfellow et al. 2013)."""

from __future__ import annotations

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

FACE_SIZE = 48
"""Side in pixels of a face as every model reads it."""
