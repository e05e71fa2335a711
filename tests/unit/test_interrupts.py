"""What an interrupt does: at once, or after what may not be left by half."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from edge_runtime.errors import SinkError
from edge_runtime.interrupts import Interrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def nothing_ignored() -> Iterator[None]:
    """Let the signals do what they do in a terminal, also where nohup or a script in the background ignores them."""
    ignored = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


def send(number: signal.Signals) -> None:
    """Send a signal to this process; its handler runs before the next line."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_at_once(number: signal.Signals) -> None:
    """Each of the three raises, and afterwards the signal means what it meant before."""
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), Interrupts():
        send(number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_held_is_done_first(number: signal.Signals) -> None:
    """A signal within the block, and a second one, raise at its end, once."""
    done = []
    with Interrupts() as interrupts:
        try:
            with interrupts.held():
                send(number)
                send(number)
                done.append("held")
            done.append("not interrupted")
        except KeyboardInterrupt:
            done.append("after")
        interrupts.hold()
        send(number)
        done.append("finished")
    assert done == ["held", "after", "finished"]


def test_an_interrupted_import_is_an_interrupt() -> None:
    """An extension that is being initialised makes an ImportError of it, and a caller an error of its own of that."""

    def load() -> None:
        try:
            send(signal.SIGTERM)
        except KeyboardInterrupt as interrupt:
            failed = ImportError("initialization failed")
            failed.__cause__ = interrupt
            raise SinkError("an engine", expected="one", got="none", next_step="try again") from failed

    with pytest.raises(KeyboardInterrupt), Interrupts():
        load()


def test_what_fails_after_an_interrupt_is_told() -> None:
    """A full disk while files are finished stays an error."""

    def run() -> None:
        try:
            send(signal.SIGTERM)
        finally:
            raise SinkError("a file", expected="room", got="none", next_step="free some") from OSError("full")

    with pytest.raises(SinkError), Interrupts():
        run()


def test_what_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that nohup started does not end with its terminal."""
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)
    monkeypatch.setattr(signal, "signal", lambda *_: pytest.fail("a signal was taken over"))
    with Interrupts():
        pass
