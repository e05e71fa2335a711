"""What an inference engine is to the rest of the program, and the table of the engines that there are."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.contract import Engine
from edge_runtime.errors import NotInstalledError, UsageError

Device = Literal["CPU", "GPU", "AUTO"]
"""What OpenVINO may run on; AUTO is its own choice among what there is."""


class Backend(Protocol):
    """A loaded network: normalised faces to logits. Scales of quantised input and output stay inside it."""

    name: str
    version: str

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits float32 (n, 7) of a batch float32 (n, 1, 48, 48), n ≥ 1. The array is the caller's."""

    def close(self) -> None:
        """Free the engine's memory; the backend cannot be used afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEntry:
    """An engine's backend: its module, the modules one of which it needs, and the extra that brings the first."""

    module: str
    needs: tuple[str, ...]
    extra: str


ENGINES: dict[Engine, EngineEntry] = {
    "tflite": EngineEntry(
        module="edge_runtime.emotions.backends.tflite", needs=("ai_edge_litert", "tflite_runtime"), extra="tflite"
    ),
    "onnx": EngineEntry(module="edge_runtime.emotions.backends.onnx", needs=("onnxruntime",), extra="onnx"),
    "openvino": EngineEntry(module="edge_runtime.emotions.backends.openvino", needs=("openvino",), extra="openvino"),
}
"""In the order in which ``auto`` prefers them: TFLite is the smallest install and runs everywhere."""


def installed_engines() -> tuple[Engine, ...]:
    """Names of the engines whose package is installed, most preferred first; imports none of them."""
    return tuple(name for name, entry in ENGINES.items() if any(importlib.util.find_spec(need) for need in entry.needs))


def open_backend(engine: Engine, contents: list[bytes], threads: int, device: Device = "CPU") -> Backend:
    """Load a network from the bytes of its files (main file first) into ``engine``, on ``threads`` CPU threads.

    ``device``: OpenVINO alone has others than the CPU; ``UsageError`` where the engine or the machine has not that one.
    Raises ``NotInstalledError`` when the engine's package is absent (any other import error is passed on as it is), and
    ``RuntimeError`` or ``ValueError`` when the engine cannot load the network.
    """
    entry = ENGINES[engine]
    try:
        module = importlib.import_module(entry.module)
    except ModuleNotFoundError as error:
        if error.name not in entry.needs:
            raise
        raise NotInstalledError(
            f"engine {engine}",
            expected=f"the package {entry.needs[0]}",
            got="not installed",
            next_step=f"in the checkout, pip install '.[{entry.extra}]'",
        ) from error
    if device != "CPU" and engine != "openvino":
        step = "take --engine openvino, or leave --device at CPU"
        raise UsageError(f"--device {device}", expected="the engine openvino", got=engine, next_step=step)
    options = {"device": device} if engine == "openvino" else {}
    backend: Backend = module.open_network(contents, threads, **options)
    return backend
