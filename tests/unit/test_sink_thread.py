"""Sinks in threads: nothing of a file is lost, nothing of a camera is waited for, errors come back."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import SinkError
from edge_runtime.results import DetectionReport, Frame, FrameResult
from edge_runtime.sinks.base import Sink
from edge_runtime.sinks.thread import WAITING, SinkThread

cv2 = pytest.importorskip("cv2")

from edge_runtime.sinks.draw import Style  # noqa: E402
from edge_runtime.sinks.jsonl import JsonlSink  # noqa: E402  (after cv2, as the others)
from edge_runtime.sinks.video import VideoSink  # noqa: E402


def result(index: int) -> FrameResult:
    """Return an empty result."""
    frame = Frame(image=np.zeros((48, 64, 3), np.uint8), index=index, captured_ns=index * 1_000_000_000 // 30)
    return FrameResult(frame=frame, faces=(), stage_ms={}, detection=DetectionReport(ran=True, every=1, width=320))


class Slow:
    """A sink that takes its time, and fails at one frame if told to."""

    threaded = True

    def __init__(self, *, pause_s: float = 0.0, fails_at: int | None = None) -> None:
        """Plan it."""
        self.pause_s, self.fails_at = pause_s, fails_at
        self.written: list[int] = []
        self.end = ""

    def write(self, result: FrameResult) -> None:
        """Take a result."""
        time.sleep(self.pause_s)
        if result.frame.index == self.fails_at:
            raise SinkError("disk", expected="room", got="none", next_step="free some")
        self.written.append(result.frame.index)

    def close(self) -> None:
        """Note it."""
        self.end = "closed"

    def discard(self) -> None:
        """Note it."""
        self.end = "discarded"


def write_all(sink: Sink, n: int, pause_s: float = 0.0) -> None:
    """Write n results."""
    for index in range(n):
        sink.write(result(index))
        time.sleep(pause_s)


def test_a_file_waits_for_a_slow_sink_and_loses_nothing() -> None:
    """Every result arrives, in order, before close returns; the thread is gone then."""
    slow = Slow(pause_s=0.005)
    thread = SinkThread(slow, "slow", live=False)
    for index in range(50):
        thread.write(result(index))
    thread.close()
    assert slow.written == list(range(50))
    assert (slow.end, thread.skipped) == ("closed", 0)
    assert not [t for t in threading.enumerate() if t.name == "sink"]


def test_a_camera_does_not_wait_and_the_loss_is_counted() -> None:
    """Writing never blocks; what was skipped and what was written add up."""
    slow = Slow(pause_s=0.02)
    thread = SinkThread(slow, "slow", live=True)
    started = time.monotonic()
    for index in range(100):
        thread.write(result(index))
    assert time.monotonic() - started < 0.5
    thread.close()
    assert slow.written == sorted(slow.written)
    assert thread.skipped + len(slow.written) == 100
    assert WAITING <= len(slow.written) < 50


@pytest.mark.parametrize(("live", "end"), [(True, "closed"), (False, "discarded")])
def test_an_error_comes_back_to_whoever_writes(*, live: bool, end: str) -> None:
    """The next write raises it, closing raises it too; what a camera gave before it is kept, a file's part is not."""
    failing = Slow(fails_at=3)
    thread = SinkThread(failing, "failing", live=live)
    with pytest.raises(SinkError, match="disk: expected room"):
        write_all(thread, 1_000, pause_s=0.001)
    with pytest.raises(SinkError):
        thread.close()
    assert failing.written == [0, 1, 2]
    assert failing.end == end


@pytest.mark.parametrize("live", [True, False])
def test_the_first_error_is_told_though_nothing_can_be_removed(tmp_path: Path, *, live: bool) -> None:
    """On a card that is read-only from one moment to the next the half file cannot be removed either."""
    sink = JsonlSink(tmp_path / "card" / "a.jsonl")
    sink._stream.close()
    sink._stream = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115  (the sink closes it)
    shutil.rmtree(tmp_path / "card")
    (tmp_path / "card").touch()  # below a file nothing can be removed, whoever runs the test
    thread = SinkThread(sink, "jsonl", live=live)
    thread.write(result(0))
    with pytest.raises(SinkError, match=r"a\.jsonl: expected room for another line, got No space left"):
        thread.close()


def test_an_error_at_the_last_frame_is_not_lost() -> None:
    """Nothing is written after it, so closing is where it is raised."""
    thread = SinkThread(Slow(fails_at=0), "failing", live=False)
    thread.write(result(0))
    with pytest.raises(SinkError):
        thread.close()


def test_an_interrupt_at_any_moment_leaves_a_thread_that_ends() -> None:
    """A thousand interrupts in the midst of handing over: no lock stays behind, and closing finds the thread awake."""
    draw, empty = np.random.default_rng(1), result(0)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)  # raises KeyboardInterrupt
    try:
        for number in range(1_000):
            thread = SinkThread(Slow(), "quick", live=number % 3 > 0)
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.0001, 0.003))
                while True:
                    thread.write(empty)
                    time.sleep(0.00005 * (number % 2))
            thread.close()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_file_that_cannot_be_finished_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share on the network that hangs at closing holds nobody up for longer than one that hangs at writing."""
    monkeypatch.setattr("edge_runtime.sinks.thread._PATIENCE_S", 0.3)
    slow, release = Slow(), threading.Event()
    monkeypatch.setattr(slow, "close", lambda: release.wait(20))
    thread = SinkThread(slow, "share", live=True)
    started = time.monotonic()
    with pytest.raises(SinkError, match=r"share: expected the last results to be written, got none in 0\.3 s"):
        thread.close()
    assert time.monotonic() - started < 3
    release.set()


def test_a_slow_end_is_waited_for_and_a_hung_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """While results are written, closing waits, however long it takes in all; when none is, it is an error."""
    monkeypatch.setattr("edge_runtime.sinks.thread._PATIENCE_S", 0.5)
    slow = Slow(pause_s=0.2)
    thread = SinkThread(slow, "slow", live=False)
    write_all(thread, 8)
    thread.close()
    assert len(slow.written) == 8
    hung = Slow(pause_s=5)
    thread = SinkThread(hung, "hung", live=True)
    thread.write(result(0))
    with pytest.raises(SinkError, match=r"hung: expected the last results to be written, got none in 0\.5 s"):
        thread.close()


def test_a_hung_sink_with_a_full_queue_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is not even room for the word that it is the end: after the patience, and not never, that is an error."""
    monkeypatch.setattr("edge_runtime.sinks.thread._PATIENCE_S", 0.5)
    thread = SinkThread(Slow(pause_s=20), "hung", live=True)
    write_all(thread, WAITING + 3)
    with pytest.raises(SinkError, match="hung: expected the last results"):
        thread.close()
    assert thread.skipped >= 2


def test_discarding_ends_at_once() -> None:
    """After another error nothing that waits is of interest."""
    slow = Slow(pause_s=0.01)
    thread = SinkThread(slow, "slow", live=False)
    thread.write(result(0))
    thread.discard()
    assert slow.end == "discarded"


def test_a_full_disk_under_json_lines_is_one_clear_error(tmp_path: Path) -> None:
    """A device that takes nothing more ends in a SinkError that names the file, and nothing stays."""
    sink = JsonlSink(tmp_path / "a.jsonl")
    sink._stream.close()
    sink._stream = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115  (the sink closes it)
    with pytest.raises(SinkError, match=r"a\.jsonl: expected room for another line, got No space left"):
        write_all(sink, 1_000)
    sink.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", [250, 1_000])
def test_a_full_disk_keeps_the_whole_lines(tmp_path: Path, room: int) -> None:
    """Wherever the disk ends, the file holds the lines that were written to their end and no half one."""
    sink = JsonlSink(tmp_path / "a.jsonl")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(SinkError, match=r"a\.jsonl: expected room for another line"):
            write_all(sink, 1_000)
        sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    content = (tmp_path / "a.jsonl").read_text()
    lines = [json.loads(line)["frame"] for line in content.splitlines()]
    assert lines == list(range(len(lines)))
    assert content.endswith("\n")
    assert room - 150 < len(content) <= room


def test_a_video_that_a_limit_cut_off_is_told(tmp_path: Path) -> None:
    """Of a quota neither the disk nor OpenCV says anything: the file is looked at when it is finished."""
    sink = VideoSink(tmp_path / "a.mp4", 30.0, Style())
    write_all(sink, 30)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(SinkError, match=r"a\.mp4: expected a whole file of 30 frames, got one that was cut off"):
            sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_under_a_video_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's writer would say nothing: the sink looks at the disk itself, while there is room for the index."""
    sink = VideoSink(tmp_path / "a.mp4", 30.0, Style())
    for index in range(10):
        sink.write(result(index))
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr("edge_runtime.sinks.video.shutil.disk_usage", lambda _: usage)
    with pytest.raises(SinkError, match=r"a\.mp4: expected 64 MiB free"):
        write_all(sink, 100)
    sink.discard()
    assert list(tmp_path.iterdir()) == []
