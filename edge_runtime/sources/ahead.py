"""Frames of a file, read ahead by a thread: decoding goes on while the frame before is looked at."""

from __future__ import annotations

import threading
from collections.abc import Generator

from edge_runtime.handover import Handover
from edge_runtime.results import Frame
from edge_runtime.sources.base import Source

_AHEAD = 2


def read_ahead(source: Source) -> Generator[Frame]:
    """Yield all frames of ``source``, at most two of which wait; none is lost, and its error comes after the last."""
    waiting: Handover[Frame | Exception | None] = Handover(_AHEAD)
    stop = threading.Event()

    def read() -> None:
        end: Exception | None = None
        try:
            for frame in source:
                while not waiting.put(frame, 0.05):
                    if stop.is_set():
                        return
        except Exception as error:  # noqa: BLE001  (raised again where the frames are wanted)
            end = error
        waiting.put_last(end)

    thread = threading.Thread(target=read, name="read ahead", daemon=True)
    try:
        thread.start()
        while isinstance(item := waiting.get(), Frame):
            yield item
        if item is not None:
            raise item
    finally:
        stop.set()
        if thread.is_alive():
            thread.join(timeout=5)
