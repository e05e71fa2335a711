"""What is drawn on a picture: boxes, labels, bars, hidden faces."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.results import Face

cv2 = pytest.importorskip("cv2")

from edge_runtime.sinks.draw import COLOURS_BGR, Style, annotate, caption  # noqa: E402  (needs cv2)

HAPPY = np.array([0.01, 0.02, 0.03, 0.71234, 0.1, 0.05, 0.07766], np.float32)


def face(box: tuple[float, float, float, float] = (10, 60, 30, 80)) -> Face:
    """Return a happy face."""
    return Face(track_id=3, box_xyxy=box, score=0.98765, probabilities=HAPPY, emotion="happy")


def coloured(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels have exactly the colour of happy."""
    mask: NDArray[np.bool_] = (image == COLOURS_BGR["happy"]).all(axis=2)
    return mask


def changed(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels are no longer the plain grey of these tests; lines are smoothed, so their colour varies."""
    mask: NDArray[np.bool_] = (image != 40).any(axis=2)
    return mask


def test_annotate_draws_on_a_copy() -> None:
    """The picture that was given stays as it was; the copy has the box's frame, its inside and a label above."""
    image = np.full((120, 160, 3), 40, np.uint8)
    drawn = annotate(image, (face((20, 60, 50, 90)),))
    assert (image == 40).all()
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert not np.shares_memory(drawn, image)
    assert coloured(drawn)[60, 20:51].all()
    assert changed(drawn)[60:91, 50].all()
    assert (drawn[70:80, 30:40] == 40).all()
    assert coloured(drawn)[45:58].sum() > 300


def test_annotate_without_faces_changes_nothing() -> None:
    """No faces: an equal picture, and yet a copy."""
    image = np.full((120, 160, 3), 40, np.uint8)
    drawn = annotate(image, ())
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image


def test_every_emotion_has_its_own_colour() -> None:
    """Each emotion can be drawn, and no two look alike."""
    assert set(COLOURS_BGR) == set(EMOTIONS)
    assert len(set(COLOURS_BGR.values())) == 7


def test_label_at_the_right_border_is_whole() -> None:
    """The label of a face at the right border is moved in: as many of its pixels are drawn as elsewhere."""
    image = np.full((120, 160, 3), 40, np.uint8)
    middle = annotate(image, (face((20, 60, 40, 90)),))[:58]
    border = annotate(image, (face((140, 60, 160, 90)),))[:58]
    assert changed(middle).sum() == changed(border).sum() > 1000


def test_label_at_the_top_border_is_inside_the_box() -> None:
    """The label of a face at the top is drawn below its upper side instead of outside the picture."""
    image = np.full((120, 160, 3), 40, np.uint8)
    inside = annotate(image, (face((20, 60, 40, 110)),))
    top = annotate(image, (face((20, 0, 40, 50)),))
    label = changed(inside)[:58, 43:].sum()
    assert changed(top)[:, 43:].sum() >= label > 500


@pytest.mark.parametrize(
    "box",
    [
        (-50.0, -50.0, -10.0, -10.0),
        (200.0, 30.0, 260.0, 90.0),
        (-30.0, -30.0, 400.0, 300.0),
        (150.0, 110.0, 170.0, 130.0),
        (-1e5, -1e5, 1e5, 1e5),
        (30.0, 30.0, 30.0, 30.0),
        (50.0, 50.0, 20.0, 20.0),
    ],
)
def test_boxes_outside_the_picture_are_drawn_as_far_as_they_reach(box: tuple[float, float, float, float]) -> None:
    """A box that reaches outside, lies outside or has no area neither fails nor changes the picture's form."""
    image = np.full((120, 160, 3), 40, np.uint8)
    drawn = annotate(image, (face(box),))
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert (image == 40).all()


def test_box_partly_outside_is_drawn_inside() -> None:
    """Of a box that reaches over two borders the two sides within the picture are drawn."""
    drawn = annotate(np.full((120, 160, 3), 40, np.uint8), (face((120, 80, 300, 300)),))
    assert changed(drawn)[80, 120:].all()
    assert changed(drawn)[80:, 120].all()
    assert not changed(drawn)[85:, 125:].any()


@pytest.mark.parametrize("size_wh", [(1, 1), (16, 12), (3840, 2160)])
def test_pictures_of_any_size_are_annotated(size_wh: tuple[int, int]) -> None:
    """Pictures smaller than a label and large ones are drawn on."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    drawn = annotate(image, (face((0, 0, size_wh[0], size_wh[1])),))
    assert drawn.shape == image.shape
    assert drawn.any()


def test_bars_show_the_probabilities() -> None:
    """Each emotion's column below the face is as high as it is probable; at the lower border it is inside."""
    for y2 in (80, 118):
        drawn = annotate(np.full((120, 160, 3), 40, np.uint8), (face((20, y2 - 50, 90, y2)),), Style(bars=True))
        columns = drawn[min(y2, 100) :, 24:90:10]
        heights = [
            int((columns[:, i] == COLOURS_BGR[emotion]).all(axis=1)[:20].sum()) for i, emotion in enumerate(EMOTIONS)
        ]
        np.testing.assert_allclose(heights, 20 * HAPPY, atol=1)


def test_hidden_faces_cannot_be_seen() -> None:
    """With blur, nothing finer than a sixth of the face is left within the box and around it; the rest is untouched."""
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    boxed = Face(track_id=1, box_xyxy=(50, 40, 100, 100), score=1.0, probabilities=HAPPY, emotion="happy")
    drawn = annotate(image, (boxed,), Style(blur=True))
    inside = drawn[50:95, 53:97]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) <= 36
    np.testing.assert_array_equal(drawn[:20], image[:20])
    doubtful = annotate(image, (), Style(blur=True), ((50, 40, 100, 100),))
    assert len(np.unique(doubtful[50:95, 53:97].reshape(-1, 3), axis=0)) <= 36
    for box in ((-40.0, -40.0, -20.0, -20.0), (150.0, 110.0, 300.0, 300.0), (30.0, 30.0, 30.0, 30.0)):
        annotate(image, (face(box),), Style(blur=True))


def test_a_caption_is_written_below() -> None:
    """A line of text goes into the lower left corner; what the emotions' colours mean follows it."""
    canvas = np.full((120, 160, 3), 40, np.uint8)
    caption(canvas, "30 fps")
    assert changed(canvas)[100:, :60].any()
    assert not changed(canvas)[:80].any()
