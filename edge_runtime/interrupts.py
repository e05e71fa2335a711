"""Ctrl-C, SIGTERM and a closed terminal, which end a run between two frames and never between two halves of a file."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, a service manager, a terminal or connection that is closed


class Interrupts:
    """Raises ``KeyboardInterrupt`` for each of them, in the main thread; while held, only afterwards, or never."""

    def __init__(self) -> None:
        """Change nothing yet."""
        self._held = self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over, except those that whoever started the program wants ignored, as nohup does."""
        for name in _SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the signals back; an interrupt that became another error, as an extension's ``ImportError``, is one."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        cause = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__  # not its context: what fails while files are finished is told of
        if cause is not None and cause is not error:
            raise KeyboardInterrupt from error

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if not self._held:
            raise KeyboardInterrupt

    def hold(self) -> None:
        """From now on raise nothing: files are being finished, which is all that an interrupt asks for."""
        self._held = True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Raise nothing within the block, and at its end what came meanwhile."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._asked:
            raise KeyboardInterrupt
