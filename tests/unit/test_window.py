"""The window where there can be none: no display, one that does not answer, an OpenCV without windows."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import cv2
import pytest

from edge_runtime.errors import NotInstalledError, UsageError
from edge_runtime.sinks import window
from edge_runtime.sinks.draw import Style
from edge_runtime.sinks.window import WindowSink

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="displays are named so on Linux alone")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make this OpenCV one with windows; return the titles of those that are opened."""
    titles: list[str] = []
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                           QT5")
    monkeypatch.setattr(cv2, "namedWindow", lambda title, _flags: titles.append(title))
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return titles


def test_a_headless_opencv_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install in its place is said."""
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                           NONE")
    with pytest.raises(NotInstalledError, match="pip install opencv-python"):
        WindowSink(Style())


def test_no_display_is_named(monkeypatch: pytest.MonkeyPatch, opened: list[str]) -> None:
    """Over a plain SSH connection."""
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(UsageError, match="expected a display, got no DISPLAY"):
        WindowSink(Style())
    assert not opened


def test_wayland_alone_is_named_where_opencv_knows_x_alone(
    monkeypatch: pytest.MonkeyPatch, opened: list[str], tmp_path: Path
) -> None:
    """PyPI's OpenCV has no plugin for it and would end the process; one that has it, or is built otherwise, is used."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setattr(window, "QT_PLATFORMS", tmp_path)
    WindowSink(Style())
    (tmp_path / "libqxcb.so").touch()
    with pytest.raises(UsageError, match="got Wayland alone"):
        WindowSink(Style())
    (tmp_path / "libqwayland-generic.so").touch()
    WindowSink(Style())
    assert len(opened) == 2


@pytest.mark.parametrize("display", [":4321", ":4321.0", "127.0.0.1:1.0"])
def test_a_display_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, opened: list[str], display: str
) -> None:
    """OpenCV would end the whole process: a DISPLAY that was left over is refused before."""
    monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(UsageError, match=f"got {display}, which does not answer"):
        WindowSink(Style())
    assert not opened


def test_a_display_that_answers_is_used(monkeypatch: pytest.MonkeyPatch, opened: list[str]) -> None:
    """One over TCP, as SSH forwards it; and an address of another form is left to OpenCV."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DISPLAY", f"localhost:{server.getsockname()[1] - 6000}.0")
        WindowSink(Style())
    monkeypatch.setenv("DISPLAY", "unix/somewhere:0")
    WindowSink(Style())
    assert len(opened) == 2


@pytest.mark.parametrize("host", ["", "unix"])
def test_a_display_of_this_machine_is_used(monkeypatch: pytest.MonkeyPatch, opened: list[str], host: str) -> None:
    """Over a local socket, also where /tmp is another one."""
    number = 5_000 + os.getpid() % 1_000
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0/tmp/.X11-unix/X{number}")
        server.listen()
        monkeypatch.setenv("DISPLAY", f"{host}:{number}")
        WindowSink(Style())
    assert len(opened) == 1
