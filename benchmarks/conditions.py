"""What a figure depends on beside the code: the machine, its state, the versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
from pathlib import Path

from edge_runtime.health import read_health, read_text

_DISTRIBUTIONS = (
    "fer-edge",
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "onnxruntime",
    "openvino",
    "ai-edge-litert",
    "tflite-runtime",
)


def conditions() -> dict[str, str | int]:
    """Describe this machine; what cannot be read is "unknown", never left out."""
    found: dict[str, str | int] = {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_1min": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown",
        "health": str(read_health()),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _cpu() -> str:
    # /proc/cpuinfo names the model on x86; a Raspberry Pi names its board in the device tree
    board = _read("/proc/device-tree/model").rstrip("\0")
    if board != "unknown":
        return board
    names = [
        line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or "unknown"


def _read(path: str) -> str:
    return read_text(Path(path))
