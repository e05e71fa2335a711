"""ONNX Runtime, CPU."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

# what a file that is no network, or none for this version, raises; the classes share no base but Exception
_REFUSALS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class OnnxBackend:
    """A session of ONNX Runtime; any batch size."""

    name = "onnxruntime"
    version: str = ort.__version__

    def __init__(self, model: bytes, threads: int) -> None:
        """Load the serialised model."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # several threads wait for each other by spinning, which is faster; after the last layer they would go on for
        # 60 ms and keep their cores from the stages that come next
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3  # errors only: warnings about constant folding are of no use to a user
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits float32 (n, 7) of a batch float32 (n, 1, 48, 48)."""
        try:
            logits: NDArray[np.float32] = self._session.run(None, {self._input: batch})[0]
        except _REFUSALS as error:
            raise RuntimeError(str(error)) from error
        return logits

    def close(self) -> None:
        """Drop the session; a second time there is none."""
        vars(self).clear()


def open_network(contents: list[bytes], threads: int) -> OnnxBackend:
    """Load the one file of an ONNX artefact; raise ``RuntimeError`` when it is none that this version can run."""
    try:
        return OnnxBackend(contents[0], threads)
    except _REFUSALS as error:
        raise RuntimeError(str(error)) from error
