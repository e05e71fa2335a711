"""A sink in a thread of its own, so that a slow disk does not hold up the next frame.

A signal may raise ``KeyboardInterrupt`` between any two bytecodes of the main thread, and in the midst of a
``queue.Queue`` it leaves a lock that nobody releases, or a thread that is never woken. What a ``SimpleQueue`` does is
one step in C.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable

from edge_runtime.errors import SinkError
from edge_runtime.results import FrameResult
from edge_runtime.sinks.base import Sink

WAITING = 8
"""Results that may wait; at 640×480 they hold 7 MB of pictures."""

_PATIENCE_S = 30.0


class SinkThread:
    """Hands results over to ``sink``: a full queue makes a file wait, and a live source lose the result, counted."""

    threaded = False

    def __init__(self, sink: Sink, name: str, *, live: bool) -> None:
        """Start the thread; ``name`` is what messages call the sink."""
        self._sink, self.name, self._live = sink, name, live
        self._waiting: queue.SimpleQueue[FrameResult | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(WAITING):
            self._places.put(None)
        self._error: Exception | None = None
        self.skipped = self._done = 0
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)
        self._thread.start()

    def write(self, result: FrameResult) -> None:
        """Hand over the next result; raise what the sink raised for an earlier one."""
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._places.get(block=not self._live, timeout=None if self._live else 0.5)
            except queue.Empty:
                if not self._live:
                    continue  # look whether the sink has died meanwhile, and wait on
                self.skipped += 1
            else:
                self._waiting.put(result)
            return

    def close(self) -> None:
        """Write what waits, finish the file and put it in its place; raise what the sink raised."""
        self._end(self._sink.close)

    def discard(self) -> None:
        """Give up, leaving nothing behind."""
        self._end(self._sink.discard)

    def _end(self, finish: Callable[[], None]) -> None:
        self._waiting.put(None)
        done, last_s = -1, time.monotonic()
        while self._thread.is_alive() and time.monotonic() - last_s < _PATIENCE_S:
            if self._done != done:  # slow is not hung
                done, last_s = self._done, time.monotonic()
            self._thread.join(0.1)
        if self._thread.is_alive():
            step = "look at the disk that it is on"
            got = f"none in {_PATIENCE_S:g} s"
            raise SinkError(self.name, expected="the last results to be written", got=got, next_step=step)
        if self._error is not None:
            self._save()
            raise self._error
        finish()

    def _save(self) -> None:
        """After an error keep what a live source gave before it, if that can be; a file may be read once more."""
        with contextlib.suppress(Exception):  # the first error is the one to tell
            if self._live:
                return self._sink.close()
        self._sink.discard()
        return None

    def _run(self) -> None:
        while (result := self._waiting.get()) is not None:
            self._places.put(None)
            try:
                self._sink.write(result)
            except Exception as error:  # noqa: BLE001  (raised again by whoever writes or closes next)
                self._error = error
                return
            self._done += 1
