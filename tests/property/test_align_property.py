"""Alignment under any landmarks: only this project's errors come out, and a moved picture gives the same crop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edge_runtime.errors import FerEdgeError
from edge_runtime.faces.align import _TEMPLATE, align, alignable

cv2 = pytest.importorskip("cv2")

TEMPLATE = np.array(_TEMPLATE, np.float32)

numbers = st.floats(width=32) | st.floats(-1000, 1000, width=32) | st.sampled_from([32766.0, -32766.0, 2.0**-100, 0.0])
landmarks = hnp.arrays(np.float32, st.tuples(st.integers(0, 4), st.just(5), st.just(2)), elements=numbers)
pictures = hnp.arrays(np.uint8, st.tuples(st.integers(0, 40), st.integers(0, 40)), elements=st.integers(0, 255))


@given(picture=pictures, points=landmarks, margin=st.floats(0, 1) | st.floats())
def test_only_this_projects_errors_come_out(
    picture: NDArray[np.uint8], points: NDArray[np.float32], margin: float
) -> None:
    """Whatever the numbers, align() gives 48×48 crops or one of the project's errors."""
    try:
        crops = align(picture, points, margin)
    except FerEdgeError:
        return
    assert crops.shape == (len(points), 48, 48)
    assert crops.dtype == np.uint8


@given(points=landmarks, margin=st.floats(0, 1))
def test_what_alignable_lets_through_is_aligned(points: NDArray[np.float32], margin: float) -> None:
    """After dropping what alignable() refuses, align() never raises, and stays within the picture's grey values."""
    picture = np.full((30, 40), 77, np.uint8)
    assert (align(picture, points[alignable(points)], margin) == 77).all()


@settings(max_examples=60)
@given(
    scale=st.floats(0.7, 6), angle=st.floats(-math.pi, math.pi), x=st.floats(-40, 40), y=st.floats(-40, 40),
    margin=st.floats(0, 0.5),
)  # fmt: skip
def test_a_moved_picture_gives_the_same_crop(scale: float, angle: float, x: float, y: float, margin: float) -> None:
    """A picture and its landmarks, turned, scaled and shifted together, align to the crop of the picture itself."""
    # the picture's grey values are a smooth formula, so that the moved one needs no interpolation
    size, middle = 48 * 12, 48 * 6
    step = np.exp(1j * angle) * scale
    rows, columns = np.indices((size, size))
    here = (columns - middle - x + 1j * (rows - middle - y)) / step
    moved = (127 + 60 * np.cos(here.real / 9) + 60 * np.sin(here.imag / 7)).round().astype(np.uint8)
    points = ((TEMPLATE - 23.5) @ [1, 1j]) * step
    moved_landmarks = np.stack([points.real + middle + x, points.imag + middle + y], axis=1)[None].astype(np.float32)
    crop = align(moved, moved_landmarks, margin)[0]

    rows, columns = (np.indices((48, 48)) - 23.5) * (1 + 2 * margin)
    expected = 127 + 60 * np.cos(columns / 9) + 60 * np.sin(rows / 7)
    # where the crop reaches beyond the moved picture, its border is repeated
    places = (columns + 1j * rows) * step + complex(middle + x, middle + y)
    inside = (abs(places.real - size / 2) < size / 2 - 8) & (abs(places.imag - size / 2) < size / 2 - 8)
    assert np.abs(crop - expected)[inside].max() < 5
