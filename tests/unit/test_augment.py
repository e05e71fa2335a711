"""Views and corruptions: seeded, in range, and what their names say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from edge_runtime.emotions import selftest
from train.augment import Augmentation, apply_view, draw_view, mixture
from train.corruptions import blur, corrupt, illumination, jpeg, sensor_noise

NOTHING = Augmentation(rotation_deg=0, shift=0, zoom=0, brightness=0, contrast=0, erase_share=0)


@pytest.fixture
def images() -> torch.Tensor:
    """Return eight seeded pictures uint8 (8, 48, 48)."""
    return torch.from_numpy(selftest.faces(1, 8))


def column(value: float, n: int = 8) -> torch.Tensor:
    """Return one strength for each of n faces."""
    return torch.full((n, 1, 1, 1), value)


def test_a_view_depends_on_seed_view_and_index_alone() -> None:
    """The same seed and view draw the same parameters, another of either draws others, and more faces change none."""
    first = draw_view(100, 3, 5, Augmentation())
    assert torch.equal(first, draw_view(100, 3, 5, Augmentation()))
    assert not torch.equal(first, draw_view(100, 3, 6, Augmentation()))
    assert not torch.equal(first, draw_view(100, 4, 5, Augmentation()))
    assert torch.equal(first, draw_view(200, 3, 5, Augmentation())[:100])


def test_no_change_is_the_picture_or_its_mirror_image(images: torch.Tensor) -> None:
    """With every range at zero a view is the picture itself or exactly its mirror image, and both occur."""
    views = apply_view(images, draw_view(8, 0, 0, NOTHING))[:, 0]
    pictures = images.float() / 255
    straight = (views - pictures).abs().amax(dim=(1, 2)) < 1e-5
    mirrored = (views - pictures.flip(2)).abs().amax(dim=(1, 2)) < 1e-5
    assert torch.equal(straight, ~mirrored)
    assert 0 < straight.sum() < 8


def test_views_stay_in_range_and_reach_the_ranges_that_are_named(images: torch.Tensor) -> None:
    """Values stay in [0, 1]; over many draws each change reaches the end of its range, and does not exceed it."""
    parameters = draw_view(5_000, 1, 0, Augmentation())
    views = apply_view(images.repeat(625, 1, 1), parameters)
    assert views.shape == (5_000, 1, 48, 48)
    assert 0 <= views.min() <= views.max() <= 1
    degrees = torch.rad2deg(torch.asin(parameters[:, 1] / parameters[:, :2].norm(dim=1))).abs()
    assert 11.9 < degrees.max() <= 12.001
    zoom = 1 / parameters[:, :2].norm(dim=1)
    shift_x, shift_y, gain, offset = parameters[:, [2, 5, 6, 7]].T
    for values, middle, most in (
        (zoom, 1, 0.15),
        (shift_x, 0, 0.24),
        (shift_y, 0, 0.24),
        (gain, 1, 0.25),
        (offset, 0, 0.15),
    ):
        for end in (values.max() - middle, middle - values.min()):
            assert 0.98 * most < end <= 1.0001 * most
    erased = parameters[:, 10:].prod(dim=1) > 0
    assert erased.float().mean() == pytest.approx(0.5, abs=0.03)
    assert 0.1 < parameters[erased, 10:].min() < parameters[erased, 10:].max() < 0.4


def test_a_shift_moves_by_a_share_of_the_side() -> None:
    """A shift of s moves the picture by s times its side."""
    image = torch.zeros(1, 48, 48, dtype=torch.uint8)
    image[0, 20, 30] = 255
    parameters = draw_view(1, 0, 0, NOTHING)
    parameters[0, :6] = torch.tensor([1, 0, 2 * 0.125, 0, 1, 0])  # 0.125 of 48 pixels: 6
    assert apply_view(image, parameters)[0, 0, 20, 24] == pytest.approx(1, abs=1e-4)


def test_a_smaller_side_is_the_middle_of_the_view(images: torch.Tensor) -> None:
    """40 pixels of 48 are the view without a border of 4, pixel by pixel, with what was erased."""
    parameters = draw_view(8, 0, 0, Augmentation(erase_share=0.9))
    whole = apply_view(images, parameters)
    assert torch.allclose(apply_view(images, parameters, 40), whole[:, :, 4:44, 4:44], atol=1e-4)


def test_jpeg_is_what_a_jpeg_encoder_does(images: torch.Tensor) -> None:
    """At coarseness 1 the result is OpenCV's JPEG of quality 50, to a few grey levels of rounding."""
    ours = jpeg(images.unsqueeze(1).float() / 255, column(1.0))[:, 0].clamp(0, 1).numpy() * 255
    for image, restored in zip(images.numpy(), ours, strict=True):
        _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])
        reference = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE).astype(float)
        assert np.abs(restored - reference).mean() < 1  # encoders transform in integers
        assert np.abs(restored - image).mean() > 3  # it does lose something


def test_strengths_are_what_they_say() -> None:
    """Noise has the standard deviation asked for, light swings by at most the share asked for, zero changes nothing."""
    grey = torch.full((8, 1, 48, 48), 0.5)
    generator = torch.Generator().manual_seed(0)
    assert sensor_noise(grey, column(0.1), generator).std() == pytest.approx(0.1, rel=0.05)
    lit = illumination(grey, column(0.6), generator)
    assert 0.1 < (lit - 0.5).abs().max() <= 0.5 * 0.6 * 1.3  # cubic interpolation overshoots its corners a little
    assert torch.equal(illumination(grey, column(0.0), generator), grey)


def test_every_face_is_corrupted_in_its_own_way() -> None:
    """All faces change, stay in [0, 1], differ from each other, and the same seed does the same."""
    faces = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(1)).repeat(200, 1, 1, 1)
    bad = corrupt(faces, torch.Generator().manual_seed(2))
    assert (bad != faces).flatten(1).any(dim=1).all()
    assert 0 <= bad.min() <= bad.max() <= 1
    assert (bad[1:] != bad[:-1]).flatten(1).any(dim=1).all()
    assert torch.equal(bad, corrupt(faces, torch.Generator().manual_seed(2)))


def test_blur_is_a_gaussian_of_each_face_s_own_width(images: torch.Tensor) -> None:
    """It is OpenCV's Gaussian blur with each face's sigma, and a sigma of zero changes nothing."""
    faces = images.unsqueeze(1).float() / 255
    sigma = torch.stack([torch.linspace(0, 1.5, 8), torch.linspace(1.5, 0.4, 8)], dim=1)
    for face, (x, y), blurred in zip(
        faces[:, 0].numpy(), sigma.tolist(), blur(faces, sigma)[:, 0].numpy(), strict=True
    ):
        kernels = [cv2.getGaussianKernel(7, max(s, 0.1), cv2.CV_32F) for s in (x, y)]
        expected = cv2.sepFilter2D(face, -1, *kernels, borderType=cv2.BORDER_REPLICATE)
        np.testing.assert_allclose(blurred, expected, atol=1e-3)
    assert torch.allclose(blur(faces, torch.zeros(8, 2)), faces, atol=1e-6)


@pytest.mark.parametrize(("mixup", "cutmix"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.3, 0.3)])
def test_mixtures_are_what_their_names_say(mixup: float, cutmix: float) -> None:
    """Mixup is one share everywhere, cutmix a rectangle, neither gives away more than half, and shares are kept."""
    generator = torch.Generator().manual_seed(4)
    kinds = []
    for _ in range(600):
        own = mixture(mixup, cutmix, 48, generator)
        assert 0.49 <= own.mean() <= 1
        values = own.unique().tolist()
        kinds.append("none" if values == [1] else "cutmix" if values == [0, 1] else "mixup")
        if kinds[-1] == "cutmix":
            gone = own == 0
            assert gone.any(0).sum() * gone.any(1).sum() == gone.sum()
    assert kinds.count("mixup") / 600 == pytest.approx(mixup, abs=0.06)
    assert kinds.count("cutmix") / 600 == pytest.approx(cutmix, abs=0.06)


def test_erasing_takes_a_rectangle_from_that_share() -> None:
    """About the share asked for loses a grey rectangle of a tenth to two fifths of the side; the rest stays whole."""
    images = torch.full((2_000, 48, 48), 255, dtype=torch.uint8)
    erasing = Augmentation(rotation_deg=0, shift=0, zoom=0, brightness=0, contrast=0, erase_share=0.25)
    views = apply_view(images, draw_view(2_000, 0, 0, erasing))[:, 0]
    gone = views == 0.5
    assert (views[~gone] == 1).all()
    assert gone.flatten(1).any(1).float().mean() == pytest.approx(0.25, abs=0.04)
    assert gone.any(1).sum(1).max() <= 20
    assert gone.any(2).sum(1).max() <= 20
