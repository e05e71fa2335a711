"""Hand-overs between threads whose main one is interrupted at any moment."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_runtime.handover import Handover
from edge_runtime.results import Frame
from edge_runtime.sources.ahead import read_ahead
from edge_runtime.sources.live import Mailbox

FRAME = Frame(image=np.zeros((8, 8, 3), np.uint8), index=0, captured_ns=0)


class Endless:
    """A file without an end, from which a frame comes every so often."""

    live, still, fps = False, False, 30.0

    def __iter__(self) -> Iterator[Frame]:
        """Yield for ever."""
        while True:
            time.sleep(0.0002)
            yield FRAME


@pytest.fixture
def interrupt() -> Iterator[np.random.Generator]:
    """Let an alarm raise ``KeyboardInterrupt``, as Ctrl-C does; return what draws its times."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield np.random.default_rng(1)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_there_are_so_many_places_and_the_last_item_needs_none() -> None:
    """What finds no place in time is not taken; a taken one's place is free again."""
    waiting: Handover[int] = Handover(2)
    assert [waiting.put(number) for number in range(3)] == [True, True, False]
    waiting.put_last(9)
    assert (waiting.get(), waiting.get(), waiting.get()) == (0, 1, 9)
    assert waiting.put(4, 0.01)


def interrupted(after_s: float, work: Callable[[], object]) -> None:
    """Do what never ends, until an interrupt comes as itself."""
    try:
        signal.setitimer(signal.ITIMER_REAL, after_s)
        work()
    except KeyboardInterrupt:
        return
    pytest.fail("it ended by itself")


def read_to_the_end() -> None:
    """Read ahead what has no end."""
    with contextlib.closing(read_ahead(Endless())) as frames:
        list(frames)


def test_an_interrupt_while_a_file_is_read_is_one_and_ends_the_reader(interrupt: np.random.Generator) -> None:
    """It comes as itself, not as an error of a lock, and the threads that read ahead end."""
    for _ in range(200):
        interrupted(interrupt.uniform(0.001, 0.004), read_to_the_end)
    deadline = time.monotonic() + 5
    while any(thread.name == "read ahead" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_interrupt_while_a_frame_is_waited_for_holds_no_camera_up(interrupt: np.random.Generator) -> None:
    """A thousand of them in the midst of waiting and taking: whoever puts still can, and the frame arrives."""
    mailbox, stop = Mailbox(), threading.Event()

    def deliver() -> None:
        while not stop.wait(0.0002):
            mailbox.put(FRAME)

    camera = threading.Thread(target=deliver, daemon=True)
    camera.start()
    for _ in range(1_000):
        interrupted(interrupt.uniform(0.0003, 0.002), lambda: list(iter(lambda: mailbox.take(0.01), "never")))
    assert mailbox.take(1.0) is not None
    stop.set()
    camera.join(1.0)
    assert not camera.is_alive()
