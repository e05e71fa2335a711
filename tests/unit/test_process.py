"""What the system says of a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge_runtime import process

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@linux
def test_age_and_memory_are_this_process_s() -> None:
    """A fresh process is younger than this one and has as much memory as it took, and not as its parent has."""
    ballast = bytearray(200 << 20)
    for place in range(0, len(ballast), 4096):
        ballast[place] = 1
    program = (
        "import time; from edge_runtime import process; before = process.age_s(); time.sleep(0.2);"
        "print(before, process.age_s(), process.peak_mb(), process.files_mb());"
        "taken = bytearray(b'x') * (50 << 20); print(process.peak_mb(), process.files_mb())"
    )
    first, second = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    before, after, small, files = map(float, first.split())
    large, files_then = map(float, second.split())
    assert before >= 0
    assert after - before > 0.18
    assert 5 < small < 100
    assert 45 < large - small < 60
    assert 1 < files < small
    assert files_then - files < 5  # what a program takes for itself is no file
    own = process.age_s()
    assert own is not None
    assert own > after


def test_elsewhere_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc the answers are None."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert process.age_s() is None
    assert process.peak_mb() is None
    assert process.files_mb() is None
