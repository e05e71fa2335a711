"""OpenVINO: CPU, Intel GPU, or its own choice."""

from __future__ import annotations

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from edge_runtime.emotions.backends.base import Device
from edge_runtime.emotions.labels import FACE_SIZE
from edge_runtime.errors import UsageError


class OpenvinoBackend:
    """A model of OpenVINO, compiled for any number of faces and, which is a quarter faster, for one."""

    name = "openvino"
    version: str = ov.__version__

    def __init__(self, xml: bytes, weights: bytes, threads: int, device: Device) -> None:
        """Compile the serialised model; raise ``UsageError`` when the machine has no such device."""
        core = ov.Core()
        if device == "GPU" and not any(name.startswith("GPU") for name in core.available_devices):
            got, step = ", ".join(core.available_devices), "install Intel's graphics driver, or take --device CPU"
            raise UsageError("--device GPU", expected="a GPU that OpenVINO can use", got=got, next_step=step)
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            # without it the plugin may choose bf16 or fp16 by the processor, and the logits would differ from device
            # to device
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if device == "CPU":
            settings |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        if device == "AUTO":
            # else it begins on the CPU and moves to the GPU later, where the self-test has not been
            settings |= {"ENABLE_STARTUP_FALLBACK": False}
            settings |= {"DEVICE_PROPERTIES": {"CPU": {"INFERENCE_NUM_THREADS": threads}}}
        network = core.read_model(xml, weights)
        self._several = core.compile_model(network, device, settings).create_infer_request()
        network.reshape([1, 1, FACE_SIZE, FACE_SIZE])
        self._single = core.compile_model(network, device, settings).create_infer_request()

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits float32 (n, 7) of a batch float32 (n, 1, 48, 48)."""
        request = self._single if len(batch) == 1 else self._several
        # into the request's own input: to be handed another array costs it 50 µs, five times what the copy does; the
        # output, 28 bytes a face, is copied out, because the next call overwrites it
        reads = request.get_input_tensor()
        if request is self._several:
            reads.shape = batch.shape
        reads.data[:] = batch
        request.infer()
        logits: NDArray[np.float32] = request.get_output_tensor().data.copy()
        return logits

    def close(self) -> None:
        """Drop the compiled models; a second time there are none."""
        vars(self).clear()


def open_network(contents: list[bytes], threads: int, device: Device = "CPU") -> OpenvinoBackend:
    """Load the .xml and .bin of an OpenVINO artefact."""
    return OpenvinoBackend(contents[0], contents[1], threads, device)
