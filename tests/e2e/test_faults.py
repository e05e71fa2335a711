"""Faults, each in a process as a person starts it: nothing is lost that can be kept, nothing hangs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

StartCamera = Callable[[list[Path], float], Any]
StartLoop = Callable[..., Any]


def jpeg(path: Path, size_wh: tuple[int, int] = (64, 48), value: int = 90) -> Path:
    """Write an even picture."""
    cv2.imwrite(str(path), np.full((size_wh[1], size_wh[0], 3), value, np.uint8))
    return path


def test_a_camera_that_is_killed_twenty_times(
    even_picture: Path, network_camera: StartCamera, start: StartLoop
) -> None:
    """The process of the camera is killed and started again: frames go on, in one file, each loss is told once."""
    camera = network_camera([even_picture], 30)
    loop = start(camera.address)
    for _ in range(20):
        loop.wait_for_frames(3)
        camera.kill()
        camera.start()
    loop.wait_for_frames(3)
    assert loop.end() == 130
    loop.assert_whole(63)
    assert loop.said().count("has gone; waiting for it") == 20
    assert loop.said().count("is open again") == 20


def test_a_camera_that_stands_still_and_goes_on(
    even_picture: Path, network_camera: StartCamera, start: StartLoop
) -> None:
    """A camera whose process is stopped keeps its connection and sends nothing: it is given up, and opened again."""
    camera = network_camera([even_picture], 30)
    loop = start(camera.address)
    loop.wait_for_frames(3)
    camera.process.send_signal(signal.SIGSTOP)
    loop.wait(lambda: "waiting for it" in loop.said() or "opening it again" in loop.said())
    camera.process.send_signal(signal.SIGCONT)
    loop.wait_for_frames(3)
    assert loop.end() == 130
    loop.assert_whole(6)


def test_a_stream_of_garbage_ends_with_one_message(
    tmp_path: Path, network_camera: StartCamera, start: StartLoop
) -> None:
    """A server that sends anything but pictures is told, with exit code 5, and leaves nothing behind."""
    (tmp_path / "garbage").write_bytes(np.random.default_rng(0).bytes(5_000))
    loop = start(network_camera([tmp_path / "garbage"], 100).address, "--give-up-s", "2")
    assert loop.end(None) == 5, loop.said()
    assert "Traceback" not in loop.said()
    assert "s3cret" not in loop.said()
    assert not loop.frames()


def test_broken_tiny_and_changing_pictures(tmp_path: Path, network_camera: StartCamera, start: StartLoop) -> None:
    """Cut pictures, ones of 0×0 and 1×1 pixels and three sizes in one stream: the good ones go into whole files."""
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    good = bytes(cv2.imencode(".jpg", noise)[1].tobytes())
    (tmp_path / "cut.jpg").write_bytes(good[: len(good) // 2])
    size = good.index(b"\xff\xc0") + 5
    (tmp_path / "none.jpg").write_bytes(good[:size] + bytes(4) + good[size + 4 :])
    pictures = [
        jpeg(tmp_path / "a.jpg", (320, 240)),
        tmp_path / "cut.jpg",
        jpeg(tmp_path / "b.jpg", (640, 480)),
        tmp_path / "none.jpg",
        jpeg(tmp_path / "one.jpg", (1, 1)),
        jpeg(tmp_path / "c.jpg", (200, 300)),
    ]
    video = tmp_path / "out.mp4"
    sinks = ("--sink", f"jsonl:{tmp_path / 'out.jsonl'}", f"video:{video}")
    loop = start(network_camera(pictures, 30).address, *sinks)
    loop.wait_for_frames(40)
    assert loop.end() == 130
    loop.assert_whole(40)
    capture = cv2.VideoCapture(str(video))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) >= 40
    assert capture.read()[1].shape == (240, 320, 3)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 80 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=80m", "fer-edge-test", disk], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("a disk that can be filled needs the right to mount one")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize(("sink", "fill_mib", "message"), [
    ("video", 30, "out.mp4: expected 64 MiB free, got a disk that is nearly full"),
    ("jsonl", 100, "out.jsonl: expected room for another line, got No space left on device"),
])  # fmt: skip
def test_a_disk_that_fills_up(
    small_disk: Path,
    tmp_path: Path,
    network_camera: StartCamera,
    start: StartLoop,
    sink: str,
    fill_mib: int,
    message: str,
) -> None:
    """The run ends with one message and exit code 5; what was written before is kept, whole, under its name."""
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.jpg"), noise)  # large frames, which leave OpenCV's buffers soon
    camera = network_camera([tmp_path / "a.jpg"], 30)
    out = small_disk / ("out.mp4" if sink == "video" else "out.jsonl")
    loop = start(camera.address, "--sink", f"{sink}:{out}")
    loop.wait(lambda: any(file.stat().st_size > 1_000 for file in small_disk.glob("*.partial.*")))
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        try:
            for _ in range(fill_mib):
                filler.write(bytes(1 << 20))
        except OSError:
            pass
        assert loop.end(None) == 5
    assert message in loop.said()
    assert "Traceback" not in loop.said()
    assert sorted(file.name for file in small_disk.iterdir()) == ["filler", out.name]
    if sink == "video":
        assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT) > 1
    else:
        assert [json.loads(line)["schema"] for line in out.read_text().splitlines()]


def test_a_reader_slower_than_the_camera(
    tmp_path: Path, even_picture: Path, network_camera: StartCamera, start: StartLoop
) -> None:
    """While nobody reads the pipe the loop goes on; what the reader missed is counted, and each line is whole."""
    camera = network_camera([even_picture], 60)
    loop = start(camera.address, "--sink", "jsonl:-", f"jsonl:{tmp_path / 'out.jsonl'}")
    loop.wait_for_frames(100)
    assert loop.end() == 130
    loop.assert_whole(100)
    (missed,) = re.findall(r"^jsonl:- was too slow for (\d+) of the frames$", loop.said(), re.MULTILINE)
    read = [json.loads(line)["frame"] for line in loop.printed.splitlines()]
    assert read == sorted(set(read))
    # the interrupt may come between two sinks: the last frame is in the first one alone then
    assert len(read) + int(missed) - len(loop.frames()) in (0, 1)


@pytest.mark.parametrize(("reader", "got"), [("gone", "Broken pipe"), ("full", "No space left on device")])
def test_standard_output_that_takes_nothing(even_picture: Path, reader: str, got: str) -> None:
    """A pipe whose reader has gone, as head goes, and a full disk: one message, exit code 5 and no word of Python's.

    The line that was not taken stays in Python's buffer, and Python would try again when it ends.
    """
    if reader == "gone":
        end, out = os.pipe()
        os.close(end)
    else:
        out = os.open("/dev/full", os.O_WRONLY)
    command = [sys.executable, "-m", "edge_runtime", "run", "--source", even_picture, "--detector", "mtcnn"]
    done = subprocess.run(
        [*command, "--sink", "jsonl:-"],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # empty is not set
    )
    os.close(out)
    assert done.returncode == 5, done.stderr
    assert f"fer-edge: jsonl:-: expected room for another line, got {got}. Next: " in done.stderr
    assert "ignored" not in done.stderr
    assert "Traceback" not in done.stderr


HUNG = """
import cv2, numpy as np
from edge_runtime import cli
from edge_runtime.sinks import thread, video
def write(sink, result):
    image = np.zeros((500, 500), np.uint8)
    while True:
        cv2.GaussianBlur(image, (31, 31), 0)
video.VideoSink.write, thread._PATIENCE_S = write, 1.0
cli.console()
"""


@pytest.mark.parametrize("sink", ["video:{folder}/out.mp4", "jsonl:-"])
def test_a_sink_that_hangs_for_good(tmp_path: Path, even_picture: Path, network_camera: StartCamera, sink: str) -> None:
    """Within OpenCV, or in a pipe that nobody reads: exit code 5, no abort and no wait; another sink is whole."""
    source = network_camera([even_picture], 60).address
    sinks = ("--sink", sink.format(folder=tmp_path), f"jsonl:{tmp_path / 'other.jsonl'}")
    command = [sys.executable, "-c", HUNG, "run", "--source", source, "--detector", "mtcnn", *sinks]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pipesize=4096)
    try:
        deadline = time.monotonic() + 120
        while sum(file.stat().st_size for file in tmp_path.glob("other.*")) < 20_000:  # far more than the pipe holds
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 5
        assert process.stderr is not None
        said = process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / "other.jsonl").exists()
    assert "expected the last results to be written, got none in 1 s" in said
    assert "terminate" not in said
    assert "Traceback" not in said


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
typedef int (*real_t)(clockid_t, struct timespec *);
static real_t real(void) { static real_t f; if (!f) f = (real_t)dlsym(RTLD_NEXT, "clock_gettime"); return f; }
static long step(void) {  /* an hour on, an hour back, in turns of a quarter of a second */
    struct timespec t; real()(CLOCK_MONOTONIC, &t);
    return (t.tv_nsec / 250000000) % 2 ? 3600 : -3600;
}
int clock_gettime(clockid_t clock, struct timespec *t) {
    int code = real()(clock, t);
    if (clock == CLOCK_REALTIME) t->tv_sec += step();
    return code;
}
int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    struct timespec now; clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec; t->tv_usec = now.tv_nsec / 1000; return 0;
}
time_t time(time_t *out) {
    struct timespec t; clock_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}
"""


def test_a_wall_clock_that_steps(
    tmp_path: Path, even_picture: Path, network_camera: StartCamera, start: StartLoop
) -> None:
    """With the process's wall clock stepping an hour on and back four times a second, its times go on as time does."""
    if not (compiler := shutil.which("cc")):
        pytest.skip("a clock that steps needs a C compiler")
    (tmp_path / "clock.c").write_text(CLOCK)
    library = tmp_path / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "clock.c", "-ldl"], check=True)
    camera = network_camera([even_picture], 30)
    started_s = time.monotonic()
    loop = start(camera.address, LD_PRELOAD=str(library))
    loop.wait_for_frames(60)
    camera.kill()
    camera.start()
    loop.wait_for_frames(10)
    assert loop.end() == 130
    loop.assert_whole(70)
    times_ms = np.array([line["t_ms"] for line in loop.frames()])
    assert (np.diff(times_ms) > 0).all()
    assert times_ms[-1] / 1e3 < time.monotonic() - started_s
    assert all(0 <= ms < 120e3 for line in loop.frames() for ms in line["stage_ms"].values())
