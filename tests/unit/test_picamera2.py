"""The Raspberry Pi's camera, by a fake that behaves as picamera2 0.3.38: byte orders, strides, time-outs, errors."""

from __future__ import annotations

import sys
import types
from typing import Any, ClassVar

import numpy as np
import pytest

from edge_runtime.errors import NotInstalledError, SourceError
from edge_runtime.sources import open_source
from edge_runtime.sources.base import CameraOptions
from edge_runtime.sources.live import Patience

pytest.importorskip("cv2")

from edge_runtime.sources.picamera2 import PiCamera


class Picamera2:
    """One fake camera, number 0, with the stride alignment of a Pi 5."""

    made: ClassVar[list[Picamera2]] = []
    stride = 128
    frames: ClassVar[int] = 10**9

    def __init__(self, camera_num: int = 0) -> None:
        """Open it; there is no other."""
        if camera_num != 0:
            raise RuntimeError(f"No camera number {camera_num} found (of 1)")
        self.configuration: dict[str, Any] = {}
        self.running, self.closed, self.taken = False, False, 0
        self.pending = False
        self.made.append(self)

    def create_video_configuration(self, main: Any, lores: Any, controls: Any, queue: Any) -> Any:
        """Return a configuration; refuse what libcamera refuses."""
        if lores and (lores["size"][0] > main["size"][0] or lores["size"][1] > main["size"][1]):
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        return {"main": main, "lores": lores, "controls": controls, "queue": queue}

    def configure(self, configuration: Any) -> None:
        """Take it, and round odd sizes down without a word."""
        if self.running:
            raise RuntimeError("Camera must be stopped before configuring")
        for name in ("main", "lores"):
            width, height = configuration[name]["size"]
            configuration[name]["size"] = (width // 2 * 2, height // 2 * 2)
        self.configuration = configuration

    def stream_configuration(self, name: str) -> dict[str, Any]:
        """Return what a stream has become."""
        made: dict[str, Any] = self.configuration[name]
        return made

    def start(self) -> None:
        """Start."""
        self.running = True

    def capture_arrays(self, names: list[str], wait: float | None = None) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Return a red picture, and its luma with rows padded to the stride and colour planes below."""
        assert wait is not None, "the default waits for ever"
        if not self.running or self.taken >= self.frames:
            self.pending = True  # the job stays at the head of the queue when its caller has given up
            raise TimeoutError
        self.taken += 1
        (width, height), (small_width, small_height) = (self.configuration[n]["size"] for n in ("main", "lores"))
        assert names == ["main", "lores"]
        assert self.configuration["main"]["format"] == "RGB888"  # which is blue, green, red in memory
        picture = np.zeros((height, width, 3), np.uint8)
        picture[..., 2] = 255
        padded = -(-small_width // self.stride) * self.stride
        planes = np.full((small_height * 3 // 2, padded), 99, np.uint8)
        planes[:small_height, :small_width] = 76
        return [picture, planes], {}

    def cancel_all_and_flush(self) -> None:
        """Call off what is queued."""
        self.pending = False

    def stop(self) -> None:
        """Stop; twice does no harm. It is queued behind what is pending, and waits for it without a time-out."""
        assert not self.pending, "hangs"
        self.running = False

    def close(self) -> None:
        """Let go."""
        self.closed = True


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    """Put the fake in the library's place."""
    module = types.ModuleType("picamera2")
    module.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(Picamera2, "made", [])
    return Picamera2


@pytest.mark.parametrize("address", ["picamera2:", "picamera2:0"])
def test_frames_are_blue_green_red_with_a_small_grey_one(address: str) -> None:
    """The picture is ready for OpenCV; the small stream's luma comes without padding and colour planes."""
    with open_source(address) as source:
        assert source.live
        frame = next(iter(source))
    assert frame.image.shape == (480, 640, 3)
    assert frame.image[0, 0].tolist() == [0, 0, 255]
    assert frame.reduced is not None
    assert frame.reduced.shape == (240, 320)
    assert frame.reduced.flags.c_contiguous
    assert (frame.reduced == 76).all()
    assert Picamera2.made[0].closed


@pytest.mark.parametrize(
    ("asked", "main", "reduced"),
    [
        ((801, 601), (800, 600), (320, 240)),
        ((1920, 1080), (1920, 1080), (320, 180)),
        ((200, 150), (200, 150), (200, 150)),
        ((319, 239), (318, 238), (318, 238)),
    ],
)
def test_sizes_are_those_that_the_camera_took(
    asked: tuple[int, int], main: tuple[int, int], reduced: tuple[int, int]
) -> None:
    """A size that was rounded, and one smaller than the small stream, give whole pictures."""
    camera = PiCamera(0, CameraOptions(size_wh=asked, fps=20))
    picture = camera.read()
    assert picture is not None
    assert picture.image.shape[1::-1] == main
    assert picture.reduced is not None
    assert picture.reduced.shape[::-1] == reduced
    assert (picture.reduced == 76).all()
    assert camera.fps == 20
    assert Picamera2.made[0].configuration["controls"] == {"FrameRate": 20}
    assert Picamera2.made[0].configuration["queue"] is False
    camera.close()


def test_a_camera_that_is_not_there_says_where_to_look() -> None:
    """The library's own message is passed on, with the next step."""
    with pytest.raises(SourceError, match="No camera number 5 found") as caught:
        open_source("picamera2:5")
    assert "rpicam-hello" in caught.value.next_step


def test_a_camera_that_falls_silent_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out closes the camera, and the next one goes on."""
    monkeypatch.setattr(Picamera2, "frames", 3)
    with open_source("picamera2:", patience=Patience(first_wait_s=0.01)) as source:
        frames = iter(source)
        while len(Picamera2.made) < 3:
            next(frames)
    assert all(camera.closed for camera in Picamera2.made[:2])


def test_a_camera_that_cannot_be_stopped_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing could open it again before the process ends."""

    def stop(_: Picamera2) -> None:
        raise RuntimeError("Camera in a wrong state")

    monkeypatch.setattr(Picamera2, "stop", stop)
    PiCamera(0, CameraOptions()).close()
    assert Picamera2.made[0].closed


def test_without_the_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on a Raspberry Pi the message says what brings it there."""
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(NotInstalledError, match="apt install python3-picamera2"):
        open_source("picamera2:")


def test_a_library_built_for_another_numpy_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bookworm's simplejpeg raises ValueError beside a newer numpy; the message says what helps."""

    def broken(_: str) -> None:
        raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")

    module = types.ModuleType("picamera2")
    module.__getattr__ = broken  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    with pytest.raises(NotInstalledError, match=r"size changed.*--no-deps simplejpeg"):
        open_source("picamera2:")


@pytest.mark.parametrize("address", ["picamera2:x", "picamera2:-1", "picamera2:1:2"])
def test_a_number_is_asked_for(address: str) -> None:
    """After picamera2: stands nothing, or a number."""
    with pytest.raises(SourceError, match="expected picamera2: and a number"):
        open_source(address)
