"""ONNX to OpenVINO: fp32, fp16 weights, static int8 by NNCF."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nncf
import numpy as np
import openvino as ov
import openvino.opset1 as opset
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
        _without_strided_pointwise(_convert(onnx_fp32)),
        faces,
        subset_size=len(calibration),
        advanced_parameters=parameters,
        ignored_scope=nncf.IgnoredScope(types=["LSTMSequence"], validate=False),
    )
    return _save(quantised, half=False)


def _without_strided_pointwise(model: ov.Model) -> ov.Model:
    """Let a pooling of one pixel take the steps of 1x1 convolutions with a stride: the sums stay the same.

    OpenVINO 2026.4's int8 kernel for them is wrong where threads share several faces and the channels that it reads are
    not a multiple of 16: a logit is up to 0.15 off, and each time by something else. The detour costs a twentieth.
    """
    for convolution in [op for op in model.get_ops() if op.get_type_name() == "Convolution"]:
        settings, (faces, weights) = convolution.get_attributes(), convolution.input_values()
        _, channels, *kernel = weights.shape
        if kernel == [1, 1] and max(settings["strides"]) > 1 and channels % 16:
            kept = opset.max_pool(faces, settings["strides"], [0, 0], [0, 0], [1, 1])
            ov.utils.replace_node(convolution, opset.convolution(kept, weights, [1, 1], [0, 0], [0, 0], [1, 1]))
    return model


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
