"""TFLite, by ai-edge-litert or, on older boards, by its predecessor tflite-runtime."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from ai_edge_litert.interpreter import Interpreter
except ModuleNotFoundError as missing:
    if missing.name != "ai_edge_litert":
        raise
    from tflite_runtime.interpreter import Interpreter

from edge_runtime.emotions.labels import EMOTIONS

_DISTRIBUTION = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}[
    Interpreter.__module__.split(".")[0]
]


class TfliteBackend:
    """An interpreter whose signatures are the batch sizes that the file was exported with; 1 is always among them."""

    name = _DISTRIBUTION
    version = importlib.metadata.version(_DISTRIBUTION)

    def __init__(self, model: bytes, threads: int) -> None:
        """Load the serialised model and allocate each signature's tensors."""
        self._interpreter = Interpreter(model_content=model, num_threads=threads)
        self._signatures: dict[int, _Signature] = {}
        for key in self._interpreter.get_signature_list():
            signature = _Signature(self._interpreter.get_signature_runner(key))
            self._signatures[signature.batch] = signature
        if 1 not in self._signatures:
            message = f"signatures of batch {sorted(self._signatures)} and none of batch 1"
            raise ValueError(message)
        # tflite-runtime's int8 kernels for eight faces are up to 3.8 off on a Cortex-A72 (2.14.0, emulated), and the
        # nano's for one face in six: its self-test need not see it. Its float kernels are not trusted further
        self._sizes = [1] if self.name == "tflite-runtime" else sorted(self._signatures, reverse=True)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits float32 (n, 7) of a batch float32 (n, 1, 48, 48), in the largest parts that are right."""
        logits = np.empty((len(batch), len(EMOTIONS)), np.float32)
        start = 0
        for size in self._sizes:
            while len(batch) - start >= size:
                logits[start : start + size] = self._signatures[size](batch[start : start + size])
                start += size
        return logits

    def close(self) -> None:
        """Drop the interpreter; a second time there is none."""
        vars(self).clear()


class _Signature:
    """One batch size of the file."""

    def __init__(self, runner: Any) -> None:  # noqa: ANN401  (the interpreter has no stubs)
        self._runner = runner
        ((self._input, reads),) = runner.get_input_details().items()
        (self._output,) = runner.get_output_details()
        self._shape = tuple(int(side) for side in reads["shape"])
        self.batch = self._shape[0]

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        # one grey channel: (n, 1, 48, 48) and (n, 48, 48, 1) are the same bytes
        logits: NDArray[np.float32] = self._runner(**{self._input: batch.reshape(self._shape)})[self._output]
        return logits


def open_network(contents: list[bytes], threads: int) -> TfliteBackend:
    """Load the one file of a TFLite artefact."""
    return TfliteBackend(contents[0], threads)
