"""The clip that is measured on: read once, played without a jump, its faces found beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import cv2
import numpy as np
import pytest

from benchmarks import clip as module
from benchmarks.clip import Clip, Scene, crops_of, read_clip, scenes_of
from edge_runtime.errors import SourceError
from edge_runtime.faces.align import align
from edge_runtime.faces.detectors import open_detector


def numbered(n: int) -> Clip:
    """Return a clip whose picture k has the value k everywhere."""
    return Clip(images=tuple(np.full((4, 6, 3), k, np.uint8) for k in range(n)), fps=25.0, still=False)


@pytest.mark.parametrize(
    ("n", "order"), [(1, [0, 0, 0, 0, 0]), (2, [0, 1, 0, 1, 0]), (4, [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2])]
)
def test_it_plays_forwards_and_backwards(n: int, order: list[int]) -> None:
    """Neighbours in the clip stay neighbours for ever, and time goes on."""
    frames = [numbered(n).frame(number) for number in range(len(order))]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == order
    assert [frame.captured_ns for frame in frames] == [k * 40_000_000 for k in range(len(order))]
    assert [frame.index for frame in frames] == list(range(len(order)))


def test_its_sum_is_of_the_pixels() -> None:
    """Another pixel is another clip; the same pixels are the same one."""
    other = numbered(3)
    assert other.sha256 == numbered(3).sha256
    other.images[2][0, 0, 0] ^= 1
    assert other.sha256 != numbered(3).sha256


def test_no_more_is_read_than_fits(group_picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long clip the beginning is kept, picture after picture as the source gives them."""
    monkeypatch.setattr(module, "MOST_BYTES", 5 * 640 * 480 * 3 - 1)
    read = read_clip(f"synthetic:{group_picture}")
    assert len(read.images) == 5
    assert (read.fps, read.still) == (30.0, False)


def test_a_clip_that_cannot_be_opened(tmp_path: Path) -> None:
    """A missing file, one that is no video, and a camera end in a SourceError."""
    (tmp_path / "text.mp4").write_text("no video")
    for address in (str(tmp_path / "nowhere.mp4"), str(tmp_path / "text.mp4")):
        with pytest.raises(SourceError):
            read_clip(address)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(SourceError, match="at least one face, got none"):
        scenes_of(read_clip(str(tmp_path / "a.png")), open_detector("mtcnn"))


def test_a_live_source_is_no_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that differ from run to run are not measured on."""

    class Live:
        live = True

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing is held."""

    monkeypatch.setattr(module, "open_source", lambda _: Live())
    with pytest.raises(SourceError, match="live frames differ"):
        read_clip("0")


def test_a_crowd_is_the_scene_s_own_faces_again_and_again() -> None:
    """As many faces as asked for, each near one of the scene's, no two alike, the same ones each time."""
    template = np.array([[14.7, 17.8], [32.3, 17.8], [23.5, 28.2], [16.4, 35.5], [30.6, 35.5]], np.float32)
    landmarks = np.stack([template, template + 100])
    scene = Scene(grey=np.random.default_rng(0).integers(0, 256, (200, 200)).astype(np.uint8), landmarks=landmarks)
    crowd = scene.crowd(16)
    assert crowd.shape == (16, 5, 2)
    assert np.abs(crowd - landmarks[np.arange(16) % 2]).max() < 5
    assert len({face.tobytes() for face in align(scene.grey, crowd, 0.25)}) == 16
    assert np.array_equal(crowd, scene.crowd(16))
    assert crops_of([scene, scene], 0.25).shape == (4, 48, 48)
