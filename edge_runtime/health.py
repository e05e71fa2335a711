"""How the board is: temperature, throttling, a weak supply; "unknown" where it does not say."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_runtime.say import say

UNKNOWN = "unknown"
_PROCESSOR = {"x86_pkg_temp", "cpu-thermal"}
EVERY_S = 30.0

NOT_THROTTLED = frozenset({"none", "no under-voltage", UNKNOWN})
"""What ``Health.throttling`` says where nothing slows the machine down, as far as it tells."""

# Raspberry Pi's firmware: these bits are the state now, the same ones 16 higher say that it has been so since boot
_BITS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """State of the board. ``temperature_c``: None where it cannot be read. ``throttling``: "none", what is, or unknown.

    ``since_boot``: the same for what has been.
    """

    temperature_c: float | None
    throttling: str
    since_boot: str

    def __str__(self) -> str:
        """Describe it in one line, for people."""
        degrees = UNKNOWN if self.temperature_c is None else f"{self.temperature_c:.0f} °C"
        return f"temperature {degrees} · throttling {self.throttling} (since boot: {self.since_boot})"


class HealthWatch:
    """Reads the board's state every half a minute, in a thread: asking the firmware may take longer than a frame."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Know nothing yet; ``root`` is where the file system begins."""
        self._root, self.health = root, Health(temperature_c=None, throttling=UNKNOWN, since_boot=UNKNOWN)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, with the state as it is now; a firmware that does not answer is not waited for."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        self.health = read_health(self._root)
        if self.health.throttling not in NOT_THROTTLED:
            say(f"board: {self.health}")
        while not self._stop.wait(EVERY_S):
            before, self.health = self.health, read_health(self._root)
            if self.health.throttling != before.throttling:
                say(f"board: {self.health}")
        self.health = read_health(self._root)


def read_health(root: Path = Path("/")) -> Health:
    """Read the board's state; ``root`` is where its file system begins."""
    now, since_boot = _throttling(root)
    return Health(temperature_c=_temperature(root), throttling=now, since_boot=since_boot)


def _temperature(root: Path) -> float | None:
    """By the processor's own sensor where one is named; the first one of a PC is often the mainboard's."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    zones.sort(key=lambda zone: read_text(zone / "type") not in _PROCESSOR)
    text = read_text(zones[0] / "temp") if zones else ""
    return int(text) / 1000 if text.lstrip("-").isdigit() else None


def _throttling(root: Path) -> tuple[str, str]:
    """By the firmware's word where it may be asked, and by the supply's alarm, which anybody may read, where not."""
    # looked for first: no process is forked twice a minute for a program that is not there
    if program := shutil.which("vcgencmd"):
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            # may be refused: it needs the group video, and on newer images more than that
            said = subprocess.run([program, "get_throttled"], capture_output=True, text=True, timeout=2, check=True)
            bits = int(said.stdout.strip().partition("=")[2], 16)
            return _named(bits), _named(bits >> 16)
    for name in sorted((root / "sys/class/hwmon").glob("hwmon*/name")):
        alarm = read_text(name.with_name("in0_lcrit_alarm"))
        if read_text(name) == "rpi_volt" and alarm in ("0", "1"):
            return ("under-voltage" if alarm == "1" else "no under-voltage"), UNKNOWN
    return UNKNOWN, _counted(root)


def _counted(root: Path) -> str:
    """Say how often the cores of an Intel processor have been slowed down by heat; the kernel counts it since boot."""
    counters = (root / "sys/devices/system/cpu").glob("cpu*/thermal_throttle/core_throttle_count")
    counts = [int(text) for text in map(read_text, counters) if text.isdigit()]
    if not counts:
        return UNKNOWN
    return f"{sum(counts)} times" if any(counts) else "none"


def _named(bits: int) -> str:
    return ", ".join(name for place, name in enumerate(_BITS) if bits >> place & 1) or "none"


def read_text(path: Path) -> str:
    """Return what stands in a file of the system, or "unknown"."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return UNKNOWN
