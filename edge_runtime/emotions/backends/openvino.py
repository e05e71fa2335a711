"""OpenVINO, CPU."""

from __future__ import annotations

import numpy as np
import openvino as ov
from numpy.typing import NDArray


class OpenvinoBackend:
    """A compiled model of OpenVINO; any batch size."""

    name = "openvino"
    version: str = ov.__version__

    def __init__(self, xml: bytes, weights: bytes, threads: int) -> None:
        """Compile the serialised model."""
        core = ov.Core()
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # without it the plugin may choose bf16 or fp16 by the processor, and the logits would differ from device
            # to device
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._compiled = core.compile_model(core.read_model(xml, weights), "CPU", settings)
        self._request = self._compiled.create_infer_request()

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits float32 (n, 7) of a batch float32 (n, 1, 48, 48)."""
        # the input is read in place; the output, 28 bytes a face, is copied out, because the next call overwrites it
        logits: NDArray[np.float32] = self._request.infer([batch], share_inputs=True)[0]
        return logits

    def close(self) -> None:
        """Drop the compiled model."""
        del self._request, self._compiled


def open_network(contents: list[bytes], threads: int) -> OpenvinoBackend:
    """Load the .xml and .bin of an OpenVINO artefact."""
    return OpenvinoBackend(contents[0], contents[1], threads)
