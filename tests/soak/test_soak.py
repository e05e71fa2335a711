"""The loop left running in front of a camera: FER_EDGE_SOAK_MINUTES of it, 20 where that is not set."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge_runtime.sources.synthetic import PanSource

WARM_UP_S = 30.0
EVERY_S = 5.0
MINUTES = float(os.environ.get("FER_EDGE_SOAK_MINUTES", "20"))


def state(pid: int) -> tuple[float, int, int]:
    """Return a process's resident memory in MB, its number of open files and of threads."""
    process = Path(f"/proc/{pid}")
    values = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return int(values["VmRSS"].split()[0]) / 1024, len(list((process / "fd").iterdir())), int(values["Threads"])


@pytest.mark.soak
@pytest.mark.timeout(60 * MINUTES + 600)
@pytest.mark.skipif(sys.platform != "linux", reason="memory, files and threads are read from /proc")
def test_memory_files_and_threads_stay(
    tmp_path: Path, group_picture: Path, network_camera: Callable[[list[Path], float], Any]
) -> None:
    """Five moving faces, 30 frames a second, JSON lines and video: after warm-up nothing grows by more than 5 MB."""
    pictures = []
    for frame in PanSource(group_picture):
        pictures.append(tmp_path / f"{frame.index:03}.jpg")
        cv2.imwrite(str(pictures[-1]), frame.image)
    lines, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
    command = [sys.executable, "-m", "edge_runtime", "run", "--source", network_camera(pictures, 30).address]
    process = subprocess.Popen(
        [*command, "--sink", f"jsonl:{lines}", f"video:{video}"], stderr=subprocess.PIPE, text=True
    )
    try:
        time.sleep(WARM_UP_S)
        states = [state(process.pid)]
        end_s = time.monotonic() + 60 * MINUTES
        while time.monotonic() < end_s:
            time.sleep(EVERY_S)
            assert process.poll() is None
            states.append(state(process.pid))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    megabytes, files, threads = zip(*states, strict=True)
    print(said)
    print(f"MB after warm-up {megabytes[0]:.1f}, least {min(megabytes):.1f}, most {max(megabytes):.1f}")
    print(f"files {sorted(set(files))}, threads {sorted(set(threads))}, {len(states)} looks")
    assert process.returncode == 130
    (frames,) = re.findall(r"^(\d+) frames,", said, re.MULTILINE)
    assert lines.exists()
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) > 0
    assert max(megabytes) - megabytes[0] <= 5
    # asking the board's firmware how it is takes six more of them for a moment, twice a minute
    assert statistics.median(files[: len(files) // 2]) == statistics.median(files[len(files) // 2 :])
    assert max(files) - min(files) in (0, 6)
    assert len(set(threads)) == 1
    assert int(frames) > 0.8 * 30 * (60 * MINUTES + WARM_UP_S - 10), "the machine was too busy for a soak"
