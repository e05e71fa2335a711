"""Whatever is named as a source, or stands in its file, ends in frames or in the project's own error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_runtime.errors import FerEdgeError, SourceError
from edge_runtime.sources import open_source

cv2 = pytest.importorskip("cv2")

# nothing listens on port 1, so that no example talks to anybody
STREAMS = ("rtsp://u:p@127.0.0.1:1/", "http://127.0.0.1:1/")
PREFIXES = st.sampled_from(["", "webcam:", "synthetic:", "picamera2:", *STREAMS, "/", "./", "file:"])
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(["\0", "\ud800", "a" * 5000])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all examples share."""
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="module")
def picture() -> bytes:
    """Return a small PNG."""
    image = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return bytes(cv2.imencode(".png", image)[1].tobytes())


@pytest.fixture(scope="module")
def video(folder: Path) -> bytes:
    """Return a small video of 30 frames."""
    path = folder / "whole.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (32, 24))
    for index in range(30):
        writer.write(np.full((24, 32, 3), 8 * index, np.uint8))
    writer.release()
    return path.read_bytes()


@given(prefix=PREFIXES, text=ANY_TEXT)
def test_any_address_opens_or_is_refused(prefix: str, text: str) -> None:
    """Any text as an address gives a source or one of the project's errors, nothing else."""
    address = prefix + text
    index = address.removeprefix("webcam:")
    assume(not (index.isascii() and index.isdigit() and len(index) < 10))  # a real camera is left alone
    assume(prefix in STREAMS or not text.lower().startswith(("rtsp", "http", "/dev/video")))
    try:
        source = open_source(address)
    except FerEdgeError as error:
        assert str(error)  # noqa: PT017  (no error is right, too)
    else:
        with source:
            assert iter(source)


@given(data=st.data())
def test_any_bytes_as_a_picture_are_read_or_refused(folder: Path, picture: bytes, data: st.DataObject) -> None:
    """Any bytes called a picture, and any damage to one, give a frame of three colours or a SourceError."""
    content = bytearray(picture if data.draw(st.booleans()) else data.draw(st.binary(min_size=1, max_size=200)))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "any.png"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        source = open_source(str(path))
    except SourceError:
        return
    (frame,) = source
    assert frame.image.dtype == np.uint8
    assert frame.image.shape[2:] == (3,)


@given(cut=st.integers(0, 10**6))
@settings(max_examples=40)
def test_a_video_cut_anywhere_never_ends_silently(folder: Path, video: bytes, cut: int) -> None:
    """Wherever a video is cut, its frames come in order, and a loss of more than two of the 30 ends in an error."""
    path = folder / "cut.avi"
    path.write_bytes(video[: cut % (len(video) + 1)])
    read = []
    try:
        with open_source(str(path)) as source:
            read.extend(frame.index for frame in source)
    except SourceError:
        whole = False
    else:
        whole = True
    assert read == list(range(len(read)))
    assert len(read) >= 27 or not whole
