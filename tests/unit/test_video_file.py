"""Video files as people have them: cut without encoding, of a browser, under names that FFmpeg reads otherwise."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import SourceError, UsageError
from edge_runtime.sinks import open_sink
from edge_runtime.sources import open_source
from edge_runtime.sources.opencv import DEFAULT_FPS, VideoSource

cv2 = pytest.importorskip("cv2")

FRAMES, FPS = 60, 30.0


def write_video(path: Path, codec: str) -> Path:
    """Write 60 frames of 160×120 at 30 a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), FPS, (160, 120))
    assert writer.isOpened()
    for index in range(FRAMES):
        writer.write(np.full((120, 160, 3), 4 * index, np.uint8))
    writer.release()
    return path


def test_a_video_cut_without_encoding_is_whole(tmp_path: Path) -> None:
    """Its edit list leaves frames out that it holds and announces; cut off in its data besides, it ends early."""
    path = write_video(tmp_path / "a.mp4", "mp4v")
    content = bytearray(path.read_bytes())
    # one edit: its length in the film's ticks, of which a second has a thousand, and where in the track it begins
    edit = content.index(b"elst") + 12
    (ticks,) = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)
    struct.pack_into(">II", content, edit, 1000, ticks)
    path.write_bytes(content)
    with open_source(str(path)) as source:
        assert isinstance(source, VideoSource)
        assert source._announced == FRAMES
        assert FRAMES // 2 - 2 <= len(list(source)) <= FRAMES // 2 + 2
    with path.open("ab") as file:
        file.write(struct.pack(">I4s", 1000, b"mdat"))  # a box that goes on beyond the end
    with open_source(str(path)) as source, pytest.raises(SourceError, match="ends early: expected 60 frames"):
        list(source)


class Film:
    """Stands for ``cv2.VideoCapture``: 145 frames, evenly over so many seconds, of 299 announced for ten."""

    def __init__(self, seconds: float, fps: float) -> None:
        """Begin before the first frame."""
        self.place, self.seconds, self.fps = -1, seconds, fps

    def isOpened(self) -> bool:  # noqa: N802  (OpenCV's name)
        """It is."""
        return True

    def get(self, what: int) -> float:
        """Tell rate, number of frames, and milliseconds of the last."""
        told = {cv2.CAP_PROP_FPS: self.fps, cv2.CAP_PROP_FRAME_COUNT: 299 / FPS * self.fps}
        return told.get(what, 1000 * self.seconds * self.place / 145)

    def read(self) -> tuple[bool, Any]:
        """Give the next frame."""
        self.place += 1
        return self.place < 145, np.zeros((4, 4, 3), np.uint8)


@pytest.mark.parametrize("fps", [FPS, 1000.0])
def test_a_length_is_no_number_of_frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fps: float) -> None:
    """Matroska announces how long it is: fewer frames that last as long are all there are, and half of it is not.

    The thousand a second of a browser's file are the ticks of its clock.
    """
    path = tmp_path / "a.webm"
    path.touch()
    for seconds in (10.0, 5.0):
        monkeypatch.setattr(cv2, "VideoCapture", lambda *_, seconds=seconds: Film(seconds, fps))
        source = VideoSource(path)
        assert source.fps == (fps if fps == FPS else DEFAULT_FPS)
        if seconds == 10:
            assert len(list(source)) == 145
        else:
            with pytest.raises(SourceError, match="ends early"):
                list(source)


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".webm"])
def test_a_name_with_colons_is_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suffix: str) -> None:
    """``$(date -Is).mp4`` in the folder where one is: FFmpeg would take what is before the colon for a protocol."""
    codec = {".avi": "MJPG", ".mp4": "mp4v", ".webm": "VP80"}[suffix]
    written = write_video(tmp_path / f"a{suffix}", codec)
    monkeypatch.chdir(tmp_path)
    written.rename(f"2024-01-01T12:30:00{suffix}")
    with open_source(f"2024-01-01T12:30:00{suffix}") as source:
        assert len(list(source)) == FRAMES


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".webm"])
def test_a_name_that_is_not_utf_8_is_one_error(tmp_path: Path, suffix: str) -> None:
    """OpenCV ends the process over it."""
    (tmp_path / f"\udcff{suffix}").touch()
    with pytest.raises(SourceError, match="expected a name in UTF-8"):
        open_source(str(tmp_path / f"\udcff{suffix}"))
    if suffix != ".avi":
        with pytest.raises(UsageError, match="expected a name in UTF-8"):
            open_sink(f"video:{tmp_path}/o\udcff{suffix}", FPS)
        assert len(list(tmp_path.iterdir())) == 1
