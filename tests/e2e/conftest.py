"""``fer-edge run`` as a process that a test can follow, interrupt and end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

PATIENCE_S = 120.0


class Loop:
    """``fer-edge run`` with a file of JSON lines, which can be followed while it grows."""

    def __init__(self, folder: Path, source: str, *arguments: str, **environment: str) -> None:
        """Start it."""
        self.folder, self.out, self.messages = folder, folder / "out.jsonl", folder / "messages"
        self.printed = b""
        command = [sys.executable, "-m", "edge_runtime", "run", "--source", source, "--detector", "mtcnn"]
        sinks = [] if "--sink" in arguments else ["--sink", f"jsonl:{self.out}"]
        with self.messages.open("w") as messages:
            self.process = subprocess.Popen(
                [*command, *sinks, *arguments],
                stdout=subprocess.PIPE,
                stderr=messages,
                env={**os.environ, **environment},
                pipesize=4096,
            )

    def frames(self) -> list[dict[str, Any]]:
        """Return the lines so far."""
        files = [self.out, *self.folder.glob("out.*.partial.jsonl")]
        text = next((file.read_text() for file in files if file.exists()), "")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def wait_for_frames(self, n: int) -> None:
        """Wait for ``n`` more lines."""
        wanted = len(self.frames()) + n
        self.wait(lambda: len(self.frames()) >= wanted)

    def wait(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, while the process is alive."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def end(self, number: signal.Signals | None = signal.SIGTERM) -> int:
        """Send a signal; return the exit code."""
        if number:
            self.process.send_signal(number)
        self.printed, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode

    def said(self) -> str:
        """Return what it said so far."""
        return self.messages.read_text()

    def assert_whole(self, least: int) -> None:
        """Assert that the lines are there, in order, under the file's name, and that no secret or traceback is told."""
        frames = [line["frame"] for line in self.frames()]
        assert len(frames) >= least
        assert frames == sorted(set(frames))
        assert self.out.exists()
        assert not list(self.folder.glob("*.partial.*"))
        assert "Traceback" not in self.said()
        assert "s3cret" not in self.said()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Loop]]:
    """Return what starts a loop; one that a failed test left is killed."""
    loops: list[Loop] = []

    def run(source: str, *arguments: str, **environment: str) -> Loop:
        loops.append(Loop(tmp_path, source, *arguments, **environment))
        return loops[-1]

    yield run
    for loop in loops:
        loop.process.kill()
        loop.process.wait()


@pytest.fixture(scope="session")
def known_xyxy() -> NDArray[np.float32]:
    """Return the boxes of the group picture's five faces: found by YuNet and MTCNN alike, and looked at."""
    return np.array(
        [(214, 62, 306, 176), (315, 234, 411, 361), (438, 215, 517, 310), (532, 304, 628, 436), (684, 290, 787, 423)],
        np.float32,
    )


@pytest.fixture
def even_picture(tmp_path: Path) -> Path:
    """Write a picture without a face."""
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "even.jpg"), np.full((48, 64, 3), 90, np.uint8))
    return tmp_path / "even.jpg"
