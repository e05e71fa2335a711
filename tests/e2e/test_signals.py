"""SIGTERM in every state that a loop can be in: it ends, and its files are whole."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

StartCamera = Callable[[list[Path], float], Any]
StartLoop = Callable[..., Any]


@pytest.mark.parametrize("wait_s", [0.0, 0.1, 0.3, 0.6, 1.0])
def test_sigterm_while_starting(
    tmp_path: Path, even_picture: Path, network_camera: StartCamera, start: StartLoop, wait_s: float
) -> None:
    """However early it comes, the process ends, silently, and leaves no half file."""
    loop = start(network_camera([even_picture], 30).address)
    time.sleep(wait_s)
    assert loop.end() in (130, -signal.SIGTERM)
    assert "Traceback" not in loop.said()
    assert not list(tmp_path.glob("*.partial.*"))


def test_sigterm_while_connecting(tmp_path: Path, start: StartLoop) -> None:
    """A camera that takes the connection and never answers holds nobody up for longer than the time-out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        loop = start(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        connection, _ = silent.accept()
        with connection:
            assert loop.end() == 130
    assert "Traceback" not in loop.said()
    assert not list(tmp_path.glob("*.jsonl"))


def test_sigterm_while_waiting_for_a_camera(even_picture: Path, network_camera: StartCamera, start: StartLoop) -> None:
    """What came before the camera went is in a whole file."""
    camera = network_camera([even_picture], 30)
    loop = start(camera.address)
    loop.wait_for_frames(5)
    camera.kill()
    loop.wait(lambda: "waiting for it" in loop.said())
    assert loop.end() == 130
    loop.assert_whole(5)


def test_sigterm_again_and_again_while_finishing(
    tmp_path: Path, even_picture: Path, network_camera: StartCamera, start: StartLoop
) -> None:
    """Impatience harms no file: every sink is finished, whatever signals come meanwhile."""
    video = tmp_path / "out.webm"
    sinks = ("--sink", f"video:{video}", f"jsonl:{tmp_path / 'out.jsonl'}")
    loop = start(network_camera([even_picture], 30).address, *sinks)
    loop.wait_for_frames(30)
    while loop.process.poll() is None:
        loop.process.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    assert loop.end(None) in (130, -signal.SIGTERM)  # the last one may find nothing left to interrupt
    loop.assert_whole(30)
    assert cv2.VideoCapture(str(video)).read()[0]
