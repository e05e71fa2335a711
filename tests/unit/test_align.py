"""The one crop rule: where a face lands, what a margin adds, what large and edge faces look like, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.errors import UsageError
from edge_runtime.faces.align import _TEMPLATE, align, alignable

cv2 = pytest.importorskip("cv2")

TEMPLATE = np.array(_TEMPLATE, np.float32)


def smooth_picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture without detail finer than about ten pixels."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height // 10 + 2, width // 10 + 2)).astype(np.float32)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def umeyama(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Umeyama's similarity by singular values, written as in the paper: (2, 3)."""
    mean_s, mean_t = source.mean(0), target.mean(0)
    u, d, vt = np.linalg.svd((target - mean_t).T @ (source - mean_s) / len(source))
    sign = np.diag([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ sign @ vt
    scale = (d * np.diag(sign)).sum() / ((source - mean_s) ** 2).sum(1).mean()
    return np.hstack([scale * rotation, (mean_t - scale * rotation @ mean_s)[:, None]])


def test_a_face_framed_like_fer2013_stays_as_it_is() -> None:
    """Landmarks at the template's places in a 48×48 picture give back that picture."""
    picture = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    crops = align(picture, TEMPLATE[None], 0)
    assert crops.shape == (1, 48, 48)
    assert crops.dtype == np.uint8
    np.testing.assert_allclose(crops[0].astype(int), picture, atol=1)


def test_the_template_is_upright_and_symmetric() -> None:
    """The template's left and right mirror each other about the middle of the crop, eyes above mouth."""
    mirrored = TEMPLATE[[1, 0, 2, 4, 3]] * (-1, 1) + (47, 0)
    np.testing.assert_allclose(mirrored, TEMPLATE, atol=1e-4)
    assert TEMPLATE[:2, 1].max() < TEMPLATE[2, 1] < TEMPLATE[3:, 1].min()


def test_a_margin_adds_its_share_of_the_side_on_each_side() -> None:
    """With a margin of 0.5 the crop is the region twice as wide about the same middle."""
    picture = smooth_picture(96, 96)
    crop = align(picture, (TEMPLATE + 24)[None], 0.5)[0]
    expected = cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(crop.astype(int), expected, atol=2)


def test_the_fit_is_umeyamas() -> None:
    """For landmarks that fit no similarity exactly the crop equals a warp by Umeyama's own solution."""
    rng = np.random.default_rng(4)
    picture = smooth_picture(200, 300)
    landmarks = (TEMPLATE + rng.normal(0, 2, (5, 2)) + (120, 70)).astype(np.float32)
    matrix = umeyama(landmarks.astype(np.float64), TEMPLATE.astype(np.float64))
    expected = cv2.warpAffine(picture, matrix, (48, 48), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    difference = np.abs(align(picture, landmarks[None], 0)[0].astype(int) - expected)
    assert difference.mean() < 1
    assert difference.max() <= 6


def test_a_large_face_does_not_alias() -> None:
    """Detail far finer than the crop's pixels comes out as its mean, at any size and angle."""
    rows, columns = np.indices((900, 900))
    chequered = ((rows + columns) % 2 * 255).astype(np.uint8)
    for size, angle in ((7.3, 0.0), (12.0, 0.3), (9.1, math.pi / 4)):
        turn = size * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        landmarks = ((TEMPLATE - 23.5) @ turn + 450).astype(np.float32)
        crop = align(chequered, landmarks[None], 0)[0].astype(int)
        assert np.abs(crop - 127.5).max() < 20, (size, angle)


def test_outside_the_picture_its_border_is_repeated() -> None:
    """A face that lies half outside is filled up with the outermost pixels, not with black."""
    picture = np.full((60, 60), 200, np.uint8)
    crops = align(picture, np.stack([TEMPLATE - 30, TEMPLATE + 40]), 0.25)
    assert (crops == 200).all()


def test_no_faces_give_no_crops() -> None:
    """A picture without faces is an empty batch, not an error."""
    assert align(np.zeros((5, 5), np.uint8), np.empty((0, 5, 2), np.float32), 0).shape == (0, 48, 48)
    assert alignable(np.empty((0, 5, 2), np.float32)).shape == (0,)


def test_each_face_is_aligned_on_its_own() -> None:
    """A batch gives what its faces give one by one, also from a view that is not contiguous."""
    picture = smooth_picture(240, 320)[:, ::-1]
    landmarks = np.stack([TEMPLATE * scale + shift for scale, shift in ((1, 10), (3, 60), (0.5, 200))])
    together = align(picture, landmarks, 0.1)
    one_by_one = np.concatenate([align(np.ascontiguousarray(picture), face[None], 0.1) for face in landmarks])
    np.testing.assert_array_equal(together, one_by_one)


MIRRORED = TEMPLATE[[1, 0, 2, 4, 3]]
NOT_A_NUMBER, INFINITE = TEMPLATE.copy(), TEMPLATE.copy()
NOT_A_NUMBER[2, 1], INFINITE[0, 0] = np.nan, np.inf


@pytest.mark.parametrize(
    "landmarks",
    [NOT_A_NUMBER, INFINITE, np.full((5, 2), 30), TEMPLATE * 0.02, TEMPLATE + 40_000, TEMPLATE * 1e30, MIRRORED],
    ids=["nan", "infinite", "all equal", "below a pixel", "far away", "huge", "left and right exchanged"],
)
def test_landmarks_of_no_face_are_told_and_refused(landmarks: NDArray[np.float32]) -> None:
    """alignable() says no to them, beside a good face, and align() refuses the two."""
    both = np.stack([TEMPLATE, landmarks]).astype(np.float32)
    assert alignable(both).tolist() == [True, False]
    with pytest.raises(UsageError, match="1 of 2 that are not"):
        align(np.zeros((48, 48), np.uint8), both, 0)


def test_a_profile_can_be_aligned() -> None:
    """A face seen fully from the side, whose left and right landmarks coincide, is still a face."""
    profile = TEMPLATE * (0, 1) + (20, 0)
    assert alignable(profile[None].astype(np.float32)).all()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((48, 48, 3), np.uint8),
        np.zeros((48, 48), np.float32),
        np.zeros((0, 0), np.uint8),
        np.zeros((1, 40_000), np.uint8),
    ],
    ids=["colour", "float", "empty", "too wide"],
)
def test_other_pictures_are_refused(picture: NDArray[np.uint8]) -> None:
    """Only a grey uint8 picture is aligned; nothing is converted silently."""
    with pytest.raises(UsageError, match="picture to align"):
        align(picture, TEMPLATE[None], 0)


@pytest.mark.parametrize("margin", [-0.1, 1.01, math.nan, math.inf])
def test_impossible_margins_are_refused(margin: float) -> None:
    """A margin is a share of the side between 0 and 1."""
    with pytest.raises(UsageError, match="crop margin"):
        align(np.zeros((48, 48), np.uint8), TEMPLATE[None], margin)


@pytest.mark.parametrize("shape", [(5, 2), (1, 4, 2), (1, 5, 3), (1, 10)])
def test_landmarks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """Five landmarks of two coordinates each are needed."""
    with pytest.raises(UsageError, match="shape of landmarks"):
        align(np.zeros((48, 48), np.uint8), np.zeros(shape, np.float32), 0)
