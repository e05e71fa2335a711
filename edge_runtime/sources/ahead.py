"""Frames of a file, read ahead by a thread: decoding goes on while the frame before is looked at."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator

from edge_runtime.results import Frame
from edge_runtime.sources.base import Source

_AHEAD = 2


def read_ahead(source: Source) -> Generator[Frame]:
    """Yield all frames of ``source``, at most two of which wait; none is lost, and its error comes after the last."""
    waiting: queue.Queue[Frame | Exception | None] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def leave(item: Frame | Exception | None) -> None:
        while not stop.is_set():
            try:
                return waiting.put(item, timeout=0.2)
            except queue.Full:
                continue
        return None

    def read() -> None:
        end: Exception | None = None
        try:
            for frame in source:
                leave(frame)
                if stop.is_set():
                    return
        except Exception as error:  # noqa: BLE001  (raised again where the frames are wanted)
            end = error
        leave(end)

    thread = threading.Thread(target=read, name="read ahead", daemon=True)
    thread.start()
    try:
        while isinstance(item := waiting.get(), Frame):
            yield item
        if item is not None:
            raise item
    finally:
        stop.set()
        thread.join(timeout=5)
