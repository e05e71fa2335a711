"""Live sources: the newest frame only, a camera that is opened again when it goes, a watchdog for one that stalls."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from edge_runtime.errors import SourceError
from edge_runtime.results import Frame
from edge_runtime.sources.base import Camera, Picture

Say = Callable[[str], None]

_STOPPED_S = 1.0
"""A wait for a frame that lasts so much longer than it may was one of a process that was stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """When a camera counts as stalled, and how often it is opened again. All clocks are monotonic."""

    stall_s: float = 5.0
    """Without a frame for so long, it is given up and opened again."""
    first_wait_s: float = 0.25
    longest_wait_s: float = 10.0
    """The wait before each attempt doubles from the first to the longest."""
    steady_s: float = 10.0
    """A camera that was there for longer makes the wait short again; one that comes and goes does not."""
    flapping_wait_s: float = 1.0
    """The longest wait after a camera that gave a frame, however soon it went."""
    give_up_after_s: float = 300.0
    """Without a frame for so long in all, in spite of every attempt, the source ends with an error."""
    first_frame_s: float = 15.0
    """The same for a source that has never given one: it is no camera, or not one that this program can read."""


class Mailbox:
    """One place: the newest frame wins, and what it pushes out is counted.

    Whoever takes is interrupted by signals at any moment, and so waits in no lock of Python's: see ``Handover``.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._place: queue.SimpleQueue[tuple[Frame, int]] = queue.SimpleQueue()
        self._putting = threading.Lock()  # a reader that was given up may put a last frame beside the next one's
        self._awaited, self._taken = False, 0
        self.dropped = 0
        """Frames that were pushed out since somebody first asked for one."""

    def put(self, frame: Frame) -> None:
        """Leave a frame; the one before, if nobody took it, is dropped.

        What comes before anybody asks, while a model is loading, counts for nothing.
        """
        with self._putting:
            with contextlib.suppress(queue.Empty):
                self._place.get_nowait()
                self.dropped += self._awaited
            self._place.put((frame, self.dropped))

    def take(self, timeout_s: float) -> Frame | None:
        """Wait for a frame, take it and number it; None when none came in time."""
        self._awaited = True
        try:
            frame, dropped = self._place.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._taken += 1
        return dataclasses.replace(frame, index=self._taken - 1 + dropped, dropped=dropped)


class LiveSource:
    """Frames of a camera that a thread reads; whoever iterates always gets the newest one.

    ``open_camera`` may raise ``SourceError``; at the start that error is passed on, later it is one failed attempt.
    """

    live = True
    still = False

    def __init__(
        self, name: str, open_camera: Callable[[], Camera], *, patience: Patience | None = None, say: Say | None = None
    ) -> None:
        """Open the camera for the first time. ``say`` takes a line when it goes, and when it is back."""
        self._name, self._open, self._say = name, open_camera, say or (lambda _: None)
        self._patience = patience or Patience()
        camera = open_camera()
        self._opened_ns = time.monotonic_ns()  # from then on the watchdog counts: a first frame may take its time
        self.fps = camera.fps
        self.mailbox = Mailbox()
        self.reopened = 0
        self._stop = threading.Event()
        self._wait_s = self._patience.first_wait_s
        self._start(camera)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest frame each time; raise ``SourceError`` when the camera stays away for good."""
        patience, last_ns = self._patience, time.monotonic_ns()
        allowed_s = min(patience.first_frame_s, patience.give_up_after_s)
        while not self._stop.is_set():
            asked_ns, wait_s = time.monotonic_ns(), min(patience.stall_s, 0.5)
            frame = self.mailbox.take(wait_s)
            now_ns = time.monotonic_ns()
            if frame is not None:
                yield frame
                last_ns, allowed_s = time.monotonic_ns(), patience.give_up_after_s
            elif now_ns - asked_ns > (wait_s + _STOPPED_S) * 1e9:
                # it was this process that stood still, as after Ctrl-Z: the camera's time begins anew
                last_ns = self._opened_ns = now_ns
            elif now_ns - last_ns > allowed_s * 1e9:
                raise self._gone(f"none for {allowed_s:g} s")
            elif self._reader.reading and now_ns - max(last_ns, self._opened_ns) > patience.stall_s * 1e9:
                # a read that hangs in a driver cannot be interrupted: leave its thread to it, and begin another
                self._say(f"{self._name} has stalled; opening it again")
                self._reader.abandon()
                self._start(None)

    def _start(self, camera: Camera | None) -> None:
        self._reader = _Reader(self, camera)
        self._reader.thread.start()

    def deliver(self, picture: Picture) -> None:
        """Put one picture into the mailbox."""
        self._wait_s = min(self._wait_s, self._patience.flapping_wait_s)
        captured_ns = time.monotonic_ns()
        self.mailbox.put(Frame(image=picture.image, index=0, captured_ns=captured_ns, reduced=picture.reduced))

    def reopen(self, stop: threading.Event) -> Camera | None:
        """Try to open the camera again, with longer and longer pauses, until it opens or ``stop`` is set."""
        if time.monotonic_ns() - self._opened_ns > self._patience.steady_s * 1e9:
            self._wait_s = self._patience.first_wait_s
        while not stop.wait(self._wait_s):
            # half of the time that is allowed: one attempt at least comes before giving up
            self._wait_s = min(2 * self._wait_s, self._patience.longest_wait_s, self._patience.give_up_after_s / 2)
            try:
                camera = self._open()
            except Exception:  # noqa: BLE001, S112  (whatever a driver raises, this attempt has failed)
                continue
            self._opened_ns = time.monotonic_ns()
            self.reopened += 1
            self._say(f"{self._name} is open again")
            return camera
        return None

    def gone(self, reason: str) -> None:
        """Say that the camera has gone; ``reason``: what its driver raised, or nothing."""
        self._say(f"{self._name} has gone{reason}; waiting for it")

    def _gone(self, got: str) -> SourceError:
        step = "look at its cable and power, and start again"
        return SourceError(self._name, expected="a frame", got=got, next_step=step)

    def __enter__(self) -> Self:
        """Return the source."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the thread and let go of the camera; one that hangs in its driver is left to end with the process."""
        self._stop.set()
        self._reader.abandon()
        if self._reader.thread.is_alive():  # an interrupt may have come before it was started
            self._reader.thread.join(timeout=2)


class _Reader:
    """The thread that reads one camera, and the ones opened in its place, until it is abandoned."""

    def __init__(self, source: LiveSource, camera: Camera | None) -> None:
        self._source, self._camera = source, camera
        self._abandoned = threading.Event()
        self.reading = camera is not None
        """Whether a camera is open: if so, silence is a stall and not an absence."""
        self.thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def abandon(self) -> None:
        """Let the thread end as soon as it can."""
        self._abandoned.set()

    def _run(self) -> None:
        while not self._abandoned.is_set():
            camera = self._camera or self._source.reopen(self._abandoned)
            self._camera = None
            if camera is None:
                return
            self.reading, reason = True, ""
            try:
                self._read(camera)
            except Exception as error:  # noqa: BLE001  (whatever a driver raises, this camera is of no more use)
                reason = f" ({type(error).__name__})"  # the message may hold the address, and that a password
            with contextlib.suppress(Exception):
                camera.close()  # which can hang as a read can: until it is over the watchdog looks
            self.reading = False
            if not self._abandoned.is_set():
                self._source.gone(reason)

    def _read(self, camera: Camera) -> None:
        """Deliver pictures until the camera goes, or until nobody wants them any more."""
        while not self._abandoned.is_set():
            picture = camera.read()
            if picture is None or not picture.image.size or self._abandoned.is_set():
                return
            self._source.deliver(picture)
