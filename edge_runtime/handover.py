"""What one thread hands over to another, of which the main one may be interrupted."""

from __future__ import annotations

import queue
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """A queue of at most ``places`` items, for one thread that puts and one that gets.

    A signal may raise ``KeyboardInterrupt`` between any two bytecodes of the main thread, and in the midst of a
    ``queue.Queue`` it leaves a lock that nobody releases, or a thread that is never woken. What a ``SimpleQueue`` does
    is one step in C.
    """

    def __init__(self, places: int) -> None:
        """Start empty."""
        self._items: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(places):
            self._free.put(None)

    def put(self, item: T, timeout_s: float = 0.0) -> bool:
        """Leave an item as soon as there is a place for it; False when there was none in time."""
        try:
            self._free.get(timeout=timeout_s)
        except queue.Empty:
            return False
        self._items.put(item)
        return True

    def put_last(self, item: T) -> None:
        """Leave an item after which none comes; there is always a place for it."""
        self._items.put(item)

    def get(self) -> T:
        """Wait for the next item and take it."""
        item = self._items.get()
        self._free.put(None)
        return item
