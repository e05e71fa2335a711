"""The environments that a device gets: their size, and the loop in them. Each is made anew, which takes minutes."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def environment(tmp_path: Path) -> Callable[..., Path]:
    """Return what makes a virtual environment by the words given to pip install; it returns its folder."""

    def make(*words: str, python: str = sys.executable) -> Path:
        folder = tmp_path / "environment"
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"pip cannot install {' '.join(words)}: {done.stderr[-500:]}")
        return folder

    return make


def run(environment: Path, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``fer-edge run`` as it is installed in an environment, out of reach of the checkout."""
    variables = {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **variables}
    command = [environment / "bin" / "fer-edge", "run", "--detector", "mtcnn", *map(str, arguments)]
    return subprocess.run(command, cwd=environment, env=variables, capture_output=True, text=True, check=False)


def forget(folder: Path) -> None:
    """Let the system forget what it holds of a folder's files, as a boot does: see ``process.files_mb``."""
    os.sync()
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_the_pi_environment_is_small(environment: Callable[..., Path], group_picture: Path) -> None:
    """All of it, pip too, takes at most 350 MB of disk; the loop over five faces, by MTCNN, 150 MB of memory."""
    folder = environment("--constraint", "constraints.txt", ".[pi]")
    size = sum(file.lstat().st_blocks * 512 for file in folder.rglob("*")) / 2**20  # as du counts
    print(f"{size:.0f} MB on disk")
    assert size <= 350
    forget(folder)
    for sinks in (["jsonl:out.jsonl"], ["jsonl:out.jsonl", "video:out.mp4"]):
        done = run(folder, "--source", f"synthetic:{group_picture}", "--sink", *sinks)
        assert done.returncode == 0, done.stderr
        print(done.stderr)
        assert "ai-edge-litert" in done.stderr
        (peak,) = re.findall(r"at most (\d+) MB of memory", done.stderr)
        assert int(peak) <= 150


def test_the_loop_runs_on_the_older_interpreter(environment: Callable[..., Path], group_picture: Path) -> None:
    """Python 3.11, tflite-runtime, numpy 1 and OpenCV 4: five faces, and both files whole."""
    if not (python := shutil.which("python3.11")):
        pytest.skip("tflite-runtime needs python3.11")
    folder = environment(".[pi-legacy]", python=python)
    done = run(folder, "--source", f"synthetic:{group_picture}", "--sink", "jsonl:out.jsonl", "video:out.mp4")
    assert done.returncode == 0, done.stderr
    assert "student int8 on tflite-runtime 2.14.0" in done.stderr
    assert "150 frames, 750 faces found, at most 5 in one frame" in done.stderr
    assert len((folder / "out.jsonl").read_text().splitlines()) == 150
    assert (folder / "out.mp4").stat().st_size > 100_000


def test_a_window_shows_the_faces(environment: Callable[..., Path], tmp_path: Path, group_picture: Path) -> None:
    """On a display in memory: labels and bars in the emotion's colour are on the screen while the clip runs."""
    if not (server := shutil.which("Xvfb")):
        pytest.skip("a window needs a display: apt install xvfb")
    opencv = f"opencv-python=={importlib.metadata.version('opencv-python-headless')}"
    folder = environment("--constraint", "constraints.txt", ".[tflite]", opencv)
    number = 90 + os.getpid() % 100
    screen = tmp_path / "screen"
    screen.mkdir()
    with subprocess.Popen([server, f":{number}", "-screen", "0", "1280x960x24", "-fbdir", screen]) as display:
        try:
            deadline = time.monotonic() + 60
            while not (frame := screen / "Xvfb_screen0").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            command = [folder / "bin" / "fer-edge", "run", "--detector", "mtcnn", "--sink", "window"]
            shown = subprocess.Popen(
                [*command, "--source", f"synthetic:{group_picture}"],
                cwd=folder,
                env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "DISPLAY": f":{number}"},
            )
            yellow = 0
            while shown.poll() is None:
                # the screen is a file of pixels B, G, R and one that is not used; this is the colour of happy
                yellow = max(yellow, len(re.findall(rb"\x42\xe4\xf0.", frame.read_bytes(), re.DOTALL)))
                time.sleep(0.2)
            assert shown.returncode == 0
            assert yellow > 5_000
        finally:
            display.terminate()
