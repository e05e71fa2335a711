"""ONNX to OpenVINO: fp32, fp16 weights, static int8 by NNCF."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nncf
import numpy as np
import openvino as ov
from numpy.typing import NDArray


def to_fp(onnx_fp32: bytes, *, half: bool) -> tuple[bytes, bytes]:
    """Convert; return .xml and .bin. ``half`` stores the weights as fp16, which the runtime widens when it compiles."""
    return _save(_convert(onnx_fp32), half=half)


def to_int8(onnx_fp32: bytes, calibration: NDArray[np.float32]) -> tuple[bytes, bytes]:
    """Quantise statically over the whole range seen in ``calibration`` (n, 1, 48, 48); return .xml and .bin.

    NNCF's defaults aggregate by mean, which clips, and then correct biases layer by layer, which on networks this small
    moves the logits twelve times as far from the float model's as rounding does; plain minima and maxima do neither.
    Weights have seven bits in all layers, not in the first alone: without VNNI products are added in pairs in 16 bits.
    An LSTM stays in floating point: quantised, it changed the answer on eight faces of a hundred.
    """
    parameters = nncf.AdvancedQuantizationParameters(
        disable_bias_correction=True,
        overflow_fix=nncf.OverflowFix.ENABLE,
        activations_range_estimator_params=nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX,
    )
    faces = nncf.Dataset([face[None] for face in calibration])
    quantised = nncf.quantize(
        _convert(onnx_fp32),
        faces,
        subset_size=len(calibration),
        advanced_parameters=parameters,
        ignored_scope=nncf.IgnoredScope(types=["LSTMSequence"], validate=False),
    )
    return _save(quantised, half=False)


def _convert(onnx_fp32: bytes) -> ov.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(onnx_fp32)
        return ov.convert_model(path)


def _save(model: ov.Model, *, half: bool) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        ov.save_model(model, path, compress_to_fp16=half)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
