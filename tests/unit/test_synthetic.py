"""The clip made from a picture: its frames, and where the boxes of the picture are in them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.errors import SourceError
from edge_runtime.sources import open_source

cv2 = pytest.importorskip("cv2")

from edge_runtime.sources.synthetic import PanSource, warp_boxes  # noqa: E402  (needs cv2)


def write_picture(path: Path, image: NDArray[np.uint8] | None = None) -> Path:
    """Write a picture, by default a seeded smooth one of 300×200."""
    if image is None:
        noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
        image = cv2.resize(noise, (300, 200), interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.mark.parametrize("address", ["synthetic:", "synthetic:none.png", "synthetic:a\0b", "synthetic:" + "a" * 5000])
def test_clip_of_a_missing_picture_is_refused(address: str) -> None:
    """A clip needs a picture that is there."""
    with pytest.raises(SourceError, match=r"expected a (picture|file)"):
        open_source(address)


def test_clip_has_its_frames_and_no_two_alike(tmp_path: Path) -> None:
    """A clip is 150 frames of 640×480, each unlike the one before, the same on every reading."""
    with open_source(f"synthetic:{write_picture(tmp_path / 'a.png')}") as source:
        assert (source.live, source.fps) == (False, 30.0)
        frames = list(source)
        again = list(source)
    assert [frame.index for frame in frames] == list(range(150))
    assert {(frame.image.shape, frame.image.dtype) for frame in frames} == {((480, 640, 3), np.dtype(np.uint8))}
    for one, other in itertools.pairwise(frames):
        assert (one.image != other.image).any()
    assert all((one.image == other.image).all() for one, other in zip(frames, again, strict=True))


@pytest.mark.parametrize("size_wh", [(1280, 960), (500, 700)])
def test_warped_boxes_are_where_the_picture_shows_them(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    """In every frame a drawn rectangle lies where warp_boxes says, with the area that it says."""
    width, height = size_wh
    box = np.array([[width * 0.4, height * 0.45, width * 0.55, height * 0.6]], np.float32).round()
    picture = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box[0].astype(int)
    picture[top:bottom, left:right] = 255
    source = PanSource(write_picture(tmp_path / "a.png", picture))
    for frame in source:
        rows, columns = np.nonzero(frame.image[:, :, 0] > 127)
        ((x1, y1, x2, y2),) = warp_boxes(box, source.transform(frame.index))
        assert columns.mean() + 0.5 == pytest.approx((x1 + x2) / 2, abs=1)
        assert rows.mean() + 0.5 == pytest.approx((y1 + y2) / 2, abs=1)
        assert len(rows) == pytest.approx((x2 - x1) * (y2 - y1), rel=0.05)
        if frame.index % 25 == 0:  # the tilt is zero, so the rectangle is upright and its sides can be compared
            seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            np.testing.assert_allclose(seen, (x1, y1, x2, y2), atol=1.5)
