"""Torch model to ONNX: fp32, fp16 weights, static int8 (QDQ)."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

OPSET = 18


def to_fp32(model: nn.Module) -> bytes:
    """Export ``model`` in evaluation mode.

    Input ``image`` float32 (n, 1, 48, 48), output ``logits`` float32 (n, 7), any n.
    """
    example = torch.zeros(2, 1, 48, 48)  # a batch of 1 would be traced as a constant
    batch = torch.export.Dim("batch", min=1, max=1024)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice to its own developers
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes=({0: batch},),
            verbose=False,
        )
    assert program is not None  # noqa: S101  (None only when a file name is given)
    model_proto = program.model_proto
    # the exporter writes down which line of which file on this machine each node came from
    graph = model_proto.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
    serialised: bytes = model_proto.SerializeToString()
    return serialised


def to_fp16(fp32: bytes) -> bytes:
    """Store the weights of an fp32 file in half precision, each followed by a cast.

    The arithmetic stays in single precision: half gains nothing on these CPUs and crashes kernels of ONNX Runtime.
    """
    model = onnx.load_from_string(fp32)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT:
            continue
        name = weight.name
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), name + "_half")
        weight.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)
    serialised: bytes = model.SerializeToString()
    return serialised


class _Faces(CalibrationDataReader):  # type: ignore[misc] # the package has no types
    """The calibration faces, handed over in batches of 64."""

    def __init__(self, batch: NDArray[np.float32]) -> None:
        self._batches = iter(np.array_split(batch, max(1, len(batch) // 64)))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(({"image": batch} for batch in self._batches), None)


def to_int8(fp32: bytes, calibration: NDArray[np.float32]) -> bytes:
    """Quantise statically: per-channel int8 weights, uint8 activations.

    The activations' ranges are the whole ones seen in ``calibration`` (n, 1, 48, 48).
    Signed activations are three to four times slower on ONNX Runtime's CPU kernels. Weights use seven of their eight
    bits: processors without VNNI add two products in 16 bits, which saturate at full range and change the answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(onnx.load_from_string(fp32), prepared)
        quantize_static(
            prepared,
            quantised,
            _Faces(calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return quantised.read_bytes()
