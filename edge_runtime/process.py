"""What the system knows of this process: how long it has run, and how much memory it took at most."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def age_s() -> float | None:
    """Seconds since this process began, to a hundredth; None where the system does not say."""
    if sys.platform != "linux":
        return None
    # the second field is the program's name in brackets, which may hold anything; the start is the 22nd, in ticks
    began_ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began_ticks / os.sysconf("SC_CLK_TCK")


def peak_mb() -> float | None:
    """Most memory that was resident at once, in MB of 2²⁰ bytes; None where the system does not say."""
    if sys.platform != "linux":
        return None
    # not getrusage: it starts at what the parent had
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
