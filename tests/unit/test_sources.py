"""Sources of frames: every frame comes, in order, and what breaks is told."""

from __future__ import annotations

import errno
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.errors import SourceError, UsageError
from edge_runtime.results import Frame
from edge_runtime.sources import open_source
from edge_runtime.sources.ahead import read_ahead
from edge_runtime.sources.base import CameraOptions
from edge_runtime.sources.live import Patience

cv2 = pytest.importorskip("cv2")


FRAMES = 40


def write_video(path: Path, codec: str) -> Path:
    """Write 40 frames 160×120 at 25 a second, each brighter than the one before."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25.0, (160, 120))
    assert writer.isOpened()
    for index in range(FRAMES):
        writer.write(np.full((120, 160, 3), 10 + 5 * index, np.uint8))
    writer.release()
    return path


def write_picture(path: Path, image: NDArray[np.uint8] | None = None) -> Path:
    """Write a picture, by default a seeded smooth one of 300×200."""
    if image is None:
        noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
        image = cv2.resize(noise, (300, 200), interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(path), image)
    return path


def read_until_error(address: str) -> tuple[list[Frame], SourceError]:
    """Read what must break on the way; return the frames before, and the error."""
    frames: list[Frame] = []
    with open_source(address) as source, pytest.raises(SourceError) as caught:
        frames.extend(source)
    return frames, caught.value


def test_picture_is_one_frame(tmp_path: Path) -> None:
    """A PNG comes as one frame with its very pixels, BGR."""
    path = write_picture(tmp_path / "a.png")
    with open_source(str(path)) as source:
        (frame,) = source
        assert not source.live
    np.testing.assert_array_equal(frame.image, cv2.imread(str(path)))
    assert (frame.index, frame.image.dtype, frame.image.shape) == (0, np.uint8, (200, 300, 3))
    assert 0 <= time.monotonic_ns() - frame.captured_ns < 60e9


@pytest.mark.parametrize("name", ["a.PNG", "a.jpg", "a.jpeg", "a.bmp", "a.webp", "with a space and é.png"])
def test_pictures_are_told_by_their_suffix(tmp_path: Path, name: str) -> None:
    """The usual suffixes, in either case, and names that are not plain ASCII are read."""
    encoded = cv2.imencode(
        ".png" if name.endswith("PNG") else name[name.rindex(".") :], np.zeros((20, 30, 3), np.uint8)
    )
    (tmp_path / name).write_bytes(encoded[1].tobytes())
    with open_source(str(tmp_path / name)) as source:
        assert [frame.image.shape for frame in source] == [(20, 30, 3)]


def test_grey_and_transparent_pictures_come_as_three_colours(tmp_path: Path) -> None:
    """A frame always has three channels, whatever the file has."""
    for name, shape in (("grey.png", (20, 30)), ("alpha.png", (20, 30, 4))):
        path = write_picture(tmp_path / name, np.full(shape, 200, np.uint8))
        with open_source(str(path)) as source:
            assert next(iter(source)).image.shape == (20, 30, 3)


def test_picture_is_turned_as_its_exif_data_says(tmp_path: Path) -> None:
    """A photograph taken upright with a turned camera comes upright."""
    # Orientation (0x0112) = 6: the picture's top is the camera's right side
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\0\0\0\0"
    app1 = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff
    jpeg = cv2.imencode(".jpg", np.zeros((20, 30, 3), np.uint8))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + app1 + jpeg[2:])
    with open_source(str(tmp_path / "a.jpg")) as source:
        assert next(iter(source)).image.shape == (30, 20, 3)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_file_that_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file with a picture's suffix and other content is refused."""
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(SourceError, match="expected a picture that OpenCV can read"):
        open_source(str(tmp_path / "a.png"))


def test_a_picture_larger_than_can_be_looked_at_is_refused(tmp_path: Path) -> None:
    """When it is read, and in its own words."""
    for shape in ((2, 32_767), (32_767, 2)):
        path = write_picture(tmp_path / "wide.png", np.zeros(shape, np.uint8))
        with pytest.raises(SourceError, match=r"expected at most 32,766 pixels a side, got .*make it smaller"):
            open_source(str(path))


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.webm", "VP90")])
def test_video_gives_every_frame_in_order(tmp_path: Path, name: str, codec: str) -> None:
    """A file loses no frame: each is there once, in order, with its own content."""
    with open_source(str(write_video(tmp_path / name, codec))) as source:
        assert (source.live, source.fps) == (False, 25.0)
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert {(frame.image.shape, frame.image.dtype) for frame in frames} == {((120, 160, 3), np.dtype(np.uint8))}
    brightness = [frame.image.mean() for frame in frames]
    assert brightness[0] == pytest.approx(10, abs=4)  # codecs' colours are a little off
    np.testing.assert_allclose(np.diff(brightness), 5, atol=2)
    times = [frame.captured_ns for frame in frames]
    assert times == sorted(times)


def test_a_video_of_changing_rate_keeps_its_times(tmp_path: Path) -> None:
    """A telephone's clip: 20 frames at the announced rate and 20 at a tenth of it come when the container says."""
    path = write_video(tmp_path / "even.mp4", "mp4v")
    content = bytearray(path.read_bytes())
    table = content.index(b"stts") - 4
    size, kind, flags, entries, count, delta = struct.unpack_from(">I4sIIII", content, table)
    assert (entries, count) == (1, FRAMES)
    two = struct.pack(">I4sIIIIII", size + 8, kind, flags, 2, FRAMES // 2, delta, FRAMES // 2, 10 * delta)
    content[table : table + size] = two
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        place = content.index(box) - 4
        struct.pack_into(">I", content, place, struct.unpack_from(">I", content, place)[0] + 8)
    struct.pack_into(">I", content, content.index(b"elst") + 12, 0x7FFFFFFF)  # all of it is shown
    path.write_bytes(content)
    with open_source(str(path)) as source:
        times = np.diff([frame.captured_ns for frame in source]) / 1e9
    np.testing.assert_allclose(times, [*[0.04] * (FRAMES // 2), *[0.4] * (FRAMES // 2 - 1)], atol=0.002)


def test_frames_do_not_share_memory(tmp_path: Path) -> None:
    """A frame that a sink still holds is not overwritten by the next."""
    with open_source(str(write_video(tmp_path / "a.avi", "MJPG"))) as source:
        first, second, *_ = source
    assert not np.shares_memory(first.image, second.image)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.webm", "VP90")])
def test_truncated_video_gives_its_good_frames_and_then_an_error(tmp_path: Path, name: str, codec: str) -> None:
    """A file cut to 60 % yields the frames that it has and then says that it ends early, with both counts."""
    whole = write_video(tmp_path / name, codec).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * 0.6)])
    frames, error = read_until_error(str(tmp_path / name))
    assert 5 <= len(frames) < FRAMES - 3
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert error.what == f"{tmp_path / name} ends early"
    assert (error.expected, error.got) == (f"{FRAMES} frames", str(len(frames)))


@pytest.mark.parametrize("content", [b"", b"line of text\n" * 100])
@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a"])
def test_file_that_is_no_video_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """Text and an empty file, whatever they are called, are refused when opened."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match="expected a video that OpenCV can read"):
        open_source(str(tmp_path / name))


class Camera:
    """Stands for ``cv2.VideoCapture``: a camera that gives three frames and is then unplugged."""

    opened: ClassVar[list[Camera]] = []

    def __init__(self, target: int | str, interface: int, *_: Any) -> None:
        """Open; there is one camera only."""
        self.target, self.interface, self.left, self.released = target, interface, 3, False
        self.asked: list[tuple[int, float]] = []
        self.opened.append(self)

    def isOpened(self) -> bool:  # noqa: N802  (OpenCV's name)
        """Tell whether it is there: once, and not again."""
        return len(self.opened) == 1

    def get(self, _property: int) -> float:
        """Answer nothing useful, as many drivers do."""
        return float("nan")

    def set(self, what: int, value: float) -> bool:
        """Note what it is asked for."""
        self.asked.append((what, value))
        return True

    def read(self) -> tuple[bool, Any]:
        """Give a frame while there are some, at no camera's pace."""
        time.sleep(0.05)
        self.left -= 1
        return (True, np.zeros((4, 6, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        """Note that it was let go."""
        self.released = True


def test_unplugged_camera_is_an_error_after_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera never just ends: its frames come, then an error; it is released, and an unknown rate is taken as 30."""
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(Camera, "opened", [])
    asked = CameraOptions(size_wh=(1280, 720), fps=25, mjpg=True)
    frames = []
    with open_source("webcam:2", asked, Patience(first_wait_s=0.01, give_up_after_s=0.5)) as source:
        assert (source.live, source.fps) == (True, 30.0)
        with pytest.raises(SourceError, match=r"webcam:2: expected a frame, got none for 0\.5 s"):
            frames.extend(frame.index for frame in source)
    assert frames == [0, 1, 2]
    camera = Camera.opened[0]
    assert camera.released
    assert camera.target == 2
    if sys.platform == "linux":
        assert camera.interface == cv2.CAP_V4L2
    assert camera.asked == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 25),
    ]


def test_a_camera_is_opened_by_the_name_of_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by one that stays the same when it is plugged in elsewhere, and is not taken for a film."""
    name = "/dev/v4l/by-id/usb-A_Camera-video-index0"
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(Camera, "opened", [])
    with open_source(name) as source:
        assert source.live
    (camera,) = Camera.opened
    assert camera.target == name
    if sys.platform == "linux":
        assert camera.interface == cv2.CAP_V4L2


@pytest.mark.parametrize("wrong", [{"size_wh": (0, 10)}, {"size_wh": (10, 10**6)}, {"fps": 0.0}, {"fps": 1e6}])
def test_what_no_camera_has_is_refused(wrong: dict[str, Any]) -> None:
    """A size or rate that no camera has is a usage error."""
    with pytest.raises(UsageError, match="--camera-"):
        CameraOptions(**wrong)


def test_a_folder_is_its_pictures_in_order(tmp_path: Path) -> None:
    """Each picture is a frame for itself; other files are left out; an empty folder is refused."""
    with pytest.raises(SourceError, match="expected pictures"):
        open_source(str(tmp_path))
    for number in (2, 10, 1):
        write_picture(tmp_path / f"{number:02}.png", np.full((20, 30, 3), number, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._01.png").write_bytes(b"\0\5\x16\7")  # as macOS leaves on a stick beside each file
    with open_source(str(tmp_path)) as source:
        assert (source.live, source.still) == (False, True)
        frames = list(source)
    assert [(frame.index, int(frame.image[0, 0, 0])) for frame in frames] == [(0, 1), (1, 2), (2, 10)]
    assert [frame.picture for frame in frames] == ["01.png", "02.png", "10.png"]


def test_what_is_no_picture_in_a_folder_is_named_at_the_end(tmp_path: Path) -> None:
    """The others are read, wherever it lies among them; each keeps its place."""
    picture = write_picture(tmp_path / "b.png").read_bytes()
    for name in ("d.png", "\udcff.png"):  # OpenCV itself dies of the second name
        (tmp_path / name).write_bytes(picture)
    for name in ("a.png", "c.png", "e.png"):
        (tmp_path / name).write_bytes(b"broken")
    frames, error = read_until_error(str(tmp_path))
    assert [(frame.index, frame.picture) for frame in frames] == [(1, "b.png"), (3, "d.png"), (5, "\ufffd.png")]
    assert error.what == f"3 of the 6 pictures of {tmp_path}"
    assert error.got == "a.png: something else; c.png: something else; e.png: something else"


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says why, and is no traceback."""

    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SourceError, match=r"expected pictures.*got Permission denied") as caught:
        open_source(str(tmp_path))
    assert caught.value.what == f"folder {tmp_path}"


@pytest.mark.parametrize("size_wh", [(5000, 3), (3, 5000)])
def test_a_clip_of_a_strip_has_its_frames(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    """However flat or narrow a picture is, a clip can be made of it."""
    path = write_picture(tmp_path / "a.png", np.full((size_wh[1], size_wh[0], 3), 90, np.uint8))
    with open_source(f"synthetic:{path}") as source:
        assert {(frame.image.shape, int(frame.image.min())) for frame in source} == {((480, 640, 3), 90)}


def test_times_of_a_file_are_places_in_the_clip(tmp_path: Path) -> None:
    """However fast a file is read, its frames are a twenty-fifth of a second apart."""
    with open_source(str(write_video(tmp_path / "a.avi", "MJPG"))) as source:
        times = np.array([frame.captured_ns for frame in source])
    np.testing.assert_array_equal(np.diff(times), 40_000_000)


def test_reading_ahead_loses_nothing_and_passes_errors_on(tmp_path: Path) -> None:
    """All frames come in order through the thread, the error after the last; leaving early ends the thread."""
    whole = write_video(tmp_path / "a.avi", "MJPG")
    with open_source(str(whole)) as source:
        assert [frame.index for frame in read_ahead(source)] == list(range(FRAMES))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames = []
    with open_source(str(whole)) as source, pytest.raises(SourceError, match="ends early"):
        frames.extend(read_ahead(source))
    assert 5 < len(frames) < FRAMES
    with open_source(str(whole)) as source:
        ahead = read_ahead(source)
        next(ahead)
        ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "read ahead"]
