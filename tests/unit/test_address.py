"""What a source's address names, what it is refused for, and that no error shows its credentials."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.cli import main
from edge_runtime.errors import SourceError, UsageError
from edge_runtime.sources import open_source
from edge_runtime.sources.address import redacted
from edge_runtime.sources.base import CameraOptions


@pytest.mark.parametrize("address", ["nowhere.mp4", "", "webcams", "a" * 5000, "9" * 5000])
def test_address_of_nothing_is_refused(address: str) -> None:
    """An address that names neither a file nor a camera is refused and shown."""
    with pytest.raises(SourceError, match="expected a file or a camera index") as caught:
        open_source(address)
    assert caught.value.got == repr(address)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:s3cret@camera/1", "rtsp://…@camera/1"),
        ("http://camera/v.mjpg?user=a&token=s3cret#x", "http://camera/v.mjpg?user=…&token=…#x"),
        ("https://camera:8080/a", "https://camera:8080/a"),
        ("ftp://user:s3cret@camera/a.mp4", "ftp://…@camera/a.mp4"),
        ("rtsp://user:s3/cr?e#t@camera/1", "rtsp://…"),
        ("http://camera/v?token=s3cret@x", "http://…"),
        ("rtsp://user:s3@cret@camera/1", "rtsp://…"),
        ("out=1.mp4", "out=1.mp4"),
        ("rtsp:/user:s3cret@camera/1", "…@camera/1"),
        ("user:s3cret@camera/1", "…@camera/1"),
        ("user:s3@cr:et@camera/1", "…@camera/1"),
        ("user:s3cret@rtsp://camera/1", "…@rtsp://…"),
        ("webcam:rtsp://user:s3cret@camera/1", "webcam:rtsp://…"),
        ("http:/camera/v?user=a&token=s3cret#x", "http:/camera/v?user=…&token=…#x"),
        ("me@home.mp4", "me@home.mp4"),
    ],
)
def test_credentials_are_not_shown(address: str, shown: str) -> None:
    """User, password and the values of a query stay out of whatever is printed."""
    assert redacted(address) == shown


@pytest.mark.parametrize("text", ["{}", "webcam:{}", "picamera2:{}", "synthetic:{}"])
@pytest.mark.parametrize(
    "address",
    ["http://user:s3cret@127.0.0.1:1/a?key=hidden", "http:/user:s3cret@127.0.0.1:1/a", "user:s3cret@127.0.0.1:1"],
)
def test_no_error_names_credentials(text: str, address: str) -> None:
    """What cannot be opened is named without them."""
    with pytest.raises(SourceError) as caught:
        open_source(text.format(address))
    assert "127.0.0.1" in str(caught.value) or "://…" in str(caught.value)
    for secret in ("user", "s3cret", "hidden"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--source", "{}", "--sink", "jsonl:a", "jsonl:a"),
        ("run", "{}"),
        ("run", "--source", "0", "--sorce", "{}"),
        ("--source", "{}"),
        ("{}",),
        ("run", "--threads", "{}"),
        ("run", "--threads={}"),
        ("run", "--engine", "{}"),
        ("run", "--mjpg={}"),
        ("run", "--s={}"),
        ("run", "--source", "{}", "--camera-size", "640x480"),
    ],
)
@pytest.mark.parametrize(
    "address", ["rtsp://user:s3cret@camera/1", "rtsp:/user:s3cret@camera/1", "user:s3'cret \"s3cret@camera/1"]
)
def test_no_word_of_a_mistaken_command_names_credentials(
    words: Sequence[str], address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A word too much, a forgotten or misspelt one, one at another's place: the error is there, not the password."""
    with contextlib.suppress(SystemExit):
        assert main([word.format(address) for word in words]) == UsageError.exit_code
    error = capsys.readouterr().err
    assert "camera/1" in error
    assert "cret" not in error


@pytest.mark.parametrize("address", ["a.mp4", "a.png", "synthetic:a.png", "nowhere", "rtsp://user:s3cret@camera/1"])
def test_what_only_a_camera_can_be_asked_is_refused_elsewhere(address: str) -> None:
    """A size, rate or format that nothing would heed is a usage error which names the options."""
    with pytest.raises(UsageError, match="--camera-size --mjpg: expected a camera of this machine") as caught:
        open_source(address, CameraOptions(size_wh=(640, 480), mjpg=True))
    assert "s3cret" not in str(caught.value)
    with pytest.raises(UsageError, match="--camera-fps: expected"):
        open_source(address, CameraOptions(fps=15))


@pytest.mark.parametrize("command", ["run", "check"])
def test_run_and_check_refuse_a_camera_option_for_a_file_alike(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line."""
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((200, 300, 3), 90, np.uint8))
    assert main([command, "--detector", "mtcnn", "--source", str(path), "--no-mjpg"]) == 0
    capsys.readouterr()
    assert main([command, "--detector", "mtcnn", "--source", str(path), "--camera-size", "640x480"]) == 2
    assert capsys.readouterr().err.startswith("fer-edge: --camera-size: expected a camera of this machine as --source")


@pytest.mark.parametrize("address", ["webcam", "webcam:x", "webcam:", "webcam:-1", "webcam:²", "webcam:" + "9" * 30])
def test_camera_address_that_is_no_number_is_refused(address: str) -> None:
    """After webcam: stands a number that a camera can have."""
    with pytest.raises(SourceError, match="expected webcam: and a number"):
        open_source(address)


@pytest.mark.parametrize("address", ["99", "webcam:99", "/dev/video99", "/dev/v4l/by-id/usb-A_Camera:99-video-index0"])
def test_absent_camera_is_refused(address: str) -> None:
    """A camera that is not there is refused when opened, with where to look."""
    with pytest.raises(SourceError, match="expected a camera that opens") as caught:
        open_source(address)
    assert "99" in caught.value.what
