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
    return _status_mb("VmHWM")  # not getrusage: it starts at what the parent had


def files_mb() -> float | None:
    """What is resident of files, in MB of 2²⁰ bytes; None where the system does not say.

    Nearly all of it is libraries. The system can take it back at any time, and decides how much of them it maps: Linux
    6.18 up to a megabyte around each page of what pip has just written, 110 MB of what are 60 MB after the next boot.
    """
    return _status_mb("RssFile")


def _status_mb(name: str) -> float | None:
    if sys.platform != "linux":
        return None
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(name)), None)
