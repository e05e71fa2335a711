"""Live sources: the newest frame, cameras that go and come back, that stall, that never come back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import SourceError
from edge_runtime.pipeline import loop
from edge_runtime.results import DetectionReport, Frame, FrameResult
from edge_runtime.sinks import open_sink
from edge_runtime.sinks.thread import SinkThread
from edge_runtime.sources.base import Picture
from edge_runtime.sources.live import LiveSource, Mailbox, Patience
from edge_runtime.stats import RunStats

IMPATIENT = Patience(stall_s=0.3, first_wait_s=0.01, longest_wait_s=0.05, give_up_after_s=1.0)


def picture(value: int = 0) -> Picture:
    """Return a small grey picture."""
    return Picture(image=np.full((8, 8, 3), value % 256, np.uint8))


class FakeCamera:
    """Delivers ``frames`` pictures, then goes; or hangs instead, until it is let go."""

    fps = 100.0

    def __init__(self, frames: int, *, hangs: bool = False, pause_s: float = 0.002) -> None:
        """Plan what it will do."""
        self.left, self.hangs, self.pause_s = frames, hangs, pause_s
        self.closed, self.release = threading.Event(), threading.Event()

    def read(self) -> Picture | None:
        """Deliver the next picture."""
        time.sleep(self.pause_s)
        if self.left == 0:
            if self.hangs:
                self.release.wait(20)
            return None
        self.left -= 1
        return picture(self.left)

    def close(self) -> None:
        """Note it."""
        self.closed.set()


class Shop:
    """Opens the cameras that it has, one after the other; None is a failed attempt."""

    def __init__(self, *cameras: FakeCamera | None) -> None:
        """Lay them out."""
        self.cameras, self.opened = list(cameras), 0

    def open(self) -> FakeCamera:
        """Hand over the next one."""
        self.opened += 1
        camera = self.cameras.pop(0) if self.cameras else None
        if camera is None:
            raise SourceError("camera", expected="a camera", got="none", next_step="wait")
        return camera


def take(source: LiveSource, n: int) -> list[Frame]:
    """Take ``n`` frames."""
    return [frame for frame, _ in zip(source, range(n), strict=False)]


def test_the_newest_frame_wins_and_drops_are_counted() -> None:
    """Of five frames that nobody took, the fifth is there, and four are counted."""
    mailbox = Mailbox()
    mailbox.put(Frame(image=picture().image, index=0, captured_ns=0))
    mailbox.put(Frame(image=picture().image, index=0, captured_ns=0))
    assert mailbox.take(0.1).dropped == 0  # before somebody waits, nobody misses anything
    for index in range(5):
        mailbox.put(Frame(image=picture().image, index=index, captured_ns=index))
    assert mailbox.take(0.1).index == 5
    assert mailbox.dropped == 4
    assert mailbox.take(0.01) is None


def test_a_slow_reader_gets_new_frames_and_knows_what_it_missed() -> None:
    """With a reader slower than the camera, frames are never old, and index and dropped add up."""
    with LiveSource("camera", Shop(FakeCamera(1_000)).open, patience=IMPATIENT) as source:
        frames = []
        for frame in source:
            assert time.monotonic_ns() - frame.captured_ns < 50e6
            frames.append(frame)
            time.sleep(0.02)
            if len(frames) == 10:
                break
    assert frames[-1].dropped > 20
    assert frames[-1].index == frames[-1].dropped + len(frames) - 1
    times = [frame.captured_ns for frame in frames]
    assert times == sorted(times)


def test_what_comes_while_a_model_is_loading_counts_for_nothing() -> None:
    """The first frame that is asked for is number 0, a new one, and nothing was dropped before it."""
    with LiveSource("camera", Shop(FakeCamera(1_000)).open, patience=IMPATIENT) as source:
        time.sleep(0.1)
        (frame,) = take(source, 1)
    assert (frame.index, frame.dropped) == (0, 0)
    assert frame.image[0, 0, 0] != 999 % 256  # which was the camera's first


def test_a_camera_that_goes_twenty_times_is_opened_again_each_time() -> None:
    """Every camera's frames come, however often it goes, also after failed attempts; each is let go of."""
    cameras = [FakeCamera(5, pause_s=0.005) for _ in range(21)]
    attempts = [attempt for camera in cameras for attempt in (camera, None)]
    said: list[str] = []
    shop = Shop(*attempts)
    seen = 0
    with LiveSource("camera 7", shop.open, patience=IMPATIENT, say=said.append) as source:
        for frame in source:
            seen += 1
            if frame.index >= 5 * 20:
                break
        assert source.reopened == 20
    assert seen > 60
    assert all(camera.closed.is_set() for camera in cameras[:20])
    assert said.count("camera 7 has gone; waiting for it") == 20
    assert said.count("camera 7 is open again") == 20
    assert not source._reader.thread.is_alive()


def test_a_camera_that_stalls_is_opened_anew() -> None:
    """A read that hangs in the driver does not hang the program: after the stall time another camera is opened."""
    hung = FakeCamera(3, hangs=True)
    said: list[str] = []
    with LiveSource("camera", Shop(hung, FakeCamera(1_000)).open, patience=IMPATIENT, say=said.append) as source:
        started = time.monotonic()
        frames = take(source, 20)
        assert time.monotonic() - started < 5
        assert len(frames) == 20
        assert "camera has stalled; opening it again" in said
        hung.release.set()
        assert hung.closed.wait(2)


def test_a_camera_whose_driver_raises_or_hangs_in_closing_is_opened_anew() -> None:
    """Neither ends the run; what was raised is named, and not its message, which may hold a password."""

    class Odd(FakeCamera):
        def read(self) -> Picture | None:
            if self.left == 0:
                raise OSError("rtsp://me:secret@camera")
            return super().read()

        def close(self) -> None:
            self.release.wait(20)
            super().close()

    odd = Odd(3)
    said: list[str] = []
    with LiveSource("camera", Shop(odd, FakeCamera(1_000)).open, patience=IMPATIENT, say=said.append) as source:
        assert len(take(source, 20)) == 20
        assert "camera has stalled; opening it again" in said
        odd.release.set()
        assert odd.closed.wait(2)
    said.clear()
    raising = Odd(3)
    raising.release.set()
    with LiveSource("camera", Shop(raising, FakeCamera(1_000)).open, patience=IMPATIENT, say=said.append) as source:
        assert len(take(source, 20)) == 20
    assert said[0] == "camera has gone (OSError); waiting for it"
    assert "secret" not in "".join(said)


def test_a_camera_that_stays_away_ends_with_one_clear_error() -> None:
    """After the time that was allowed, and not much later, the error says for how long there was nothing."""
    with LiveSource("camera 3", Shop(FakeCamera(2)).open, patience=IMPATIENT) as source:
        started = time.monotonic()
        with pytest.raises(SourceError, match="camera 3: expected a frame, got none for 1 s"):
            take(source, 100)
        assert 0.9 < time.monotonic() - started < 4


def test_attempts_become_rarer() -> None:
    """The waits double, so that a camera that is away for long costs little."""
    shop = Shop(FakeCamera(1))
    patience = Patience(stall_s=0.2, first_wait_s=0.05, longest_wait_s=10, give_up_after_s=1.2)
    with LiveSource("camera", shop.open, patience=patience) as source, pytest.raises(SourceError):
        take(source, 100)
    assert 4 <= shop.opened <= 7  # the first, and after 0.05, 0.15, 0.35, 0.75 s


def test_a_camera_that_opens_and_delivers_nothing_is_not_hammered() -> None:
    """Opening without a frame is no success: the waits go on growing."""
    shop = Shop(FakeCamera(1), *(FakeCamera(0) for _ in range(1_000)))
    patience = Patience(stall_s=0.2, first_wait_s=0.05, longest_wait_s=10, give_up_after_s=1.2)
    with LiveSource("camera", shop.open, patience=patience) as source, pytest.raises(SourceError):
        take(source, 100)
    assert shop.opened <= 7


def test_a_camera_that_comes_and_goes_is_opened_less_and_less_often() -> None:
    """A frame an opening makes no wait short again, but none very long; a camera that stays does."""
    shop = Shop(*(FakeCamera(1) for _ in range(4)), FakeCamera(200, pause_s=0.005), FakeCamera(1_000))
    patience = Patience(first_wait_s=0.05, longest_wait_s=10, steady_s=0.3, flapping_wait_s=0.5, give_up_after_s=20)
    started_s = time.monotonic()
    with LiveSource("camera", shop.open, patience=patience) as source:
        next(frame for frame in source if source.reopened == 4)
        assert time.monotonic() - started_s >= 0.05 + 0.1 + 0.2 + 0.4
        assert source._wait_s == 0.5
        next(frame for frame in source if source.reopened == 5)  # the fifth stayed for a second
        assert source._wait_s == 0.1


def test_a_camera_that_comes_and_goes_is_not_waited_for_until_it_is_given_up() -> None:
    """However long the waits have become, an attempt comes before the end."""
    patience = Patience(first_wait_s=0.3, longest_wait_s=10, give_up_after_s=0.8)
    shop = Shop(*(FakeCamera(1) for _ in range(4)), FakeCamera(1_000))
    with LiveSource("camera", shop.open, patience=patience) as source:
        assert len(take(source, 10)) == 10


def test_a_camera_that_is_back_has_time_for_its_first_frame() -> None:
    """After an absence longer than the stall time, one whose first frame takes a second is not taken for stalled."""

    class Slow(FakeCamera):
        def read(self) -> Picture | None:
            if self.left == 1_000:
                time.sleep(1)  # longer than the watchdog takes from one look to the next
            return super().read()

    shop = Shop(FakeCamera(2), *[None] * 8, Slow(1_000))
    said: list[str] = []
    patience = Patience(stall_s=1.5, first_wait_s=0.25, longest_wait_s=0.25, give_up_after_s=8)
    with LiveSource("camera", shop.open, patience=patience, say=said.append) as source:
        assert len(take(source, 10)) == 10
    assert said == ["camera has gone; waiting for it", "camera is open again"]


def test_the_first_opening_fails_at_once() -> None:
    """A camera that is not there at the start is an error then, not after minutes."""
    with pytest.raises(SourceError):
        LiveSource("camera", Shop().open, patience=IMPATIENT)


def test_empty_pictures_are_a_camera_that_has_gone() -> None:
    """A picture without pixels reaches nobody."""

    class Empty(FakeCamera):
        def read(self) -> Picture | None:
            super().read()
            return Picture(image=np.empty((0, 0, 3), np.uint8))

    with LiveSource("camera", Shop(FakeCamera(1), Empty(5), FakeCamera(50)).open, patience=IMPATIENT) as source:
        assert all(frame.image.size for frame in take(source, 20))


@pytest.fixture
def hung_source() -> Iterator[LiveSource]:
    """A source whose only camera hangs for ever."""
    camera = FakeCamera(0, hangs=True)
    yield LiveSource("camera", Shop(camera).open, patience=IMPATIENT)
    camera.release.set()


def test_leaving_does_not_wait_for_a_hung_camera(hung_source: LiveSource) -> None:
    """Ctrl-C while a driver hangs ends the program within seconds."""
    started = time.monotonic()
    with hung_source:
        pass
    assert time.monotonic() - started < 3


class SlowRecogniser:
    """Takes six times as long for a frame as the camera."""

    def process(self, frame: Frame) -> FrameResult:
        """Find nothing, slowly."""
        time.sleep(0.06)
        report = DetectionReport(ran=False, every=1, width=320)
        return FrameResult(frame=frame, faces=(), stage_ms={"detect": 60.0}, detection=report)


def test_what_reaches_a_sink_is_of_now(tmp_path: Path) -> None:
    """Behind a camera that is six times too fast, the age at the sink is told, and does not grow from frame to frame.

    Were frames queued, the twentieth would be a second old.
    """
    sink = open_sink(f"jsonl:{tmp_path / 'a.jsonl'}", 100.0, live=True)
    assert sink is not None
    thread, stats = SinkThread(sink, "jsonl", live=True), RunStats()
    patience = Patience(stall_s=1, first_wait_s=0.01, give_up_after_s=0.5)
    camera = Shop(FakeCamera(200, pause_s=0.01))
    with pytest.raises(SourceError), LiveSource("camera", camera.open, patience=patience) as source:
        loop(source, SlowRecogniser(), [thread], stats)  # type: ignore[arg-type]
    thread.close()
    ages_ms = [json.loads(line)["age_ms"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(ages_ms) == stats.stages["age"].n > 10
    assert min(ages_ms) >= 60
    assert min(ages_ms[10:]) < 300
    assert stats.stages["age"].mean_ms >= 60


def test_a_pause_of_the_program_is_none_of_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-Z, or a freezer, longer than it would wait for a camera, it goes on with the same one."""
    said: list[str] = []
    shop = Shop(FakeCamera(100_000))
    with LiveSource("camera", shop.open, patience=IMPATIENT, say=said.append) as source:
        take(source, 1)
        mailbox, stopped = source.mailbox.take, []

        def stop_once(timeout_s: float) -> Frame | None:
            if stopped:
                return mailbox(timeout_s)
            stopped.append(time.sleep(timeout_s + 1.5))
            return None

        monkeypatch.setattr(source.mailbox, "take", stop_once)
        assert len(take(source, 3)) == 3
    assert (shop.opened, said) == (1, [])
