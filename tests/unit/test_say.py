"""What is said where nobody listens."""

from __future__ import annotations

import io
import sys

import pytest

from edge_runtime.say import say


class HungUp(io.StringIO):
    """A terminal that has been closed."""

    def write(self, _: str) -> int:
        """Fail as it does."""
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("where", ["hung up", "closed", "none"])
def test_a_line_that_nobody_can_read_is_no_error(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed terminal, a closed file and no standard error at all end nothing."""
    stream = {"hung up": HungUp(), "closed": io.StringIO(), "none": None}[where]
    if where == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    say("temperature unknown")
