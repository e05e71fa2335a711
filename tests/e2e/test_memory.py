"""What the loop takes of a board's memory."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge_runtime.sources.synthetic import PanSource

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

OWN_MB = 85
"""Of the 150 MB that a run may take, 60 are libraries after a boot: see ``process.files_mb``. It takes 50 to 65."""


@pytest.mark.parametrize("camera", [False, True])
@pytest.mark.parametrize("video", [False, True])
def test_the_loop_itself_takes_little(
    tmp_path: Path,
    group_picture: Path,
    network_camera: Callable[[list[Path], float], Any],
    start: Callable[..., Any],
    *,
    camera: bool,
    video: bool,
) -> None:
    """Five faces by MTCNN and TFLite, of a file and of a network camera, into JSON lines and video."""
    if camera:
        pictures = [tmp_path / f"{index}.jpg" for index in range(30)]
        for picture, frame in zip(pictures, PanSource(group_picture), strict=False):
            cv2.imwrite(str(picture), frame.image)
    source = network_camera(pictures, 30).address if camera else f"synthetic:{group_picture}"
    sinks = [f"jsonl:{tmp_path / 'out.jsonl'}", *([f"video:{tmp_path / 'out.mp4'}"] if video else [])]
    loop = start(source, "--engine", "tflite", "--sink", *sinks)
    if camera:
        loop.wait_for_frames(60)
    assert loop.end(signal.SIGTERM if camera else None) == (130 if camera else 0)
    (peak, files) = re.findall(r"at most (\d+) MB of memory, (\d+) of them libraries", loop.said())[0]
    print(f"{peak} MB, {files} of them libraries")
    assert int(peak) - int(files) <= OWN_MB
    assert max(line["frame"] for line in loop.frames()) >= 59
    # a camera that begins its pictures anew shows a face at two places for a moment
    assert max(len(line["faces"]) for line in loop.frames()) >= 5
