"""A sink in a thread of its own, so that a slow disk does not hold up the next frame."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from edge_runtime.errors import SinkError
from edge_runtime.handover import Handover
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
        self._waiting: Handover[FrameResult | Callable[[], None]] = Handover(WAITING)
        self._error: Exception | None = None
        self.skipped = self._done = 0
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)
        self._thread.start()

    def write(self, result: FrameResult) -> None:
        """Hand over the next result; raise what the sink raised for an earlier one."""
        while True:
            if self._error is not None:
                raise self._error
            if self._waiting.put(result, 0.0 if self._live else 0.5):
                return
            if self._live:
                self.skipped += 1
                return

    def close(self) -> None:
        """Write what waits, finish the file and put it in its place; raise what the sink raised."""
        self._end(self._sink.close)

    def discard(self) -> None:
        """Give up, leaving nothing behind."""
        self._end(self._sink.discard)

    def _end(self, finish: Callable[[], None]) -> None:
        self._waiting.put_last(finish)
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
            raise self._error

    def _run(self) -> None:
        try:
            while isinstance(item := self._waiting.get(), FrameResult):
                self._sink.write(item)
                self._done += 1
        except Exception as error:  # noqa: BLE001  (raised again by whoever writes or closes next)
            self._error = error
            self._save()
            return
        self._done += 1  # to finish a file may take as long again
        try:
            item()
        except Exception as error:  # noqa: BLE001  (as above)
            self._error = error

    def _save(self) -> None:
        """After an error keep what a live source gave before it, if that can be; a file may be read once more."""
        with contextlib.suppress(Exception):  # the first error is the one to tell
            if self._live:
                return self._sink.close()
        with contextlib.suppress(Exception):  # a read-only disk, say
            self._sink.discard()
        return None
