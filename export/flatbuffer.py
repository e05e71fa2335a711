"""A TFLite file without what only its converters needed: it holds the same network in fewer bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.schema_py_generated import (
    QuantizationParametersAddQuantizedDimension,
    QuantizationParametersAddScale,
    QuantizationParametersAddZeroPoint,
    QuantizationParametersEnd,
    QuantizationParametersStart,
    QuantizationParametersT,
)
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray


def compact(model: bytes) -> bytes:
    """Number the tensors, and write equal scales and zero points once.

    The converter's names are module paths of 300 letters. And an int8 file holds, for each channel of each layer and of
    each signature, two scales and two zero points of eight bytes, all of these zero: more bytes than the weights of a
    network of many narrow layers. A flatbuffer's tables may share their parts.
    """
    parsed = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    for buffer in parsed.buffers:
        if buffer.offset > 1:  # large weights lie behind the flatbuffer, where it says; 1 stands for nothing
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    written: dict[bytes, int] = {}
    for g, graph in enumerate(parsed.subgraphs):
        for t, tensor in enumerate(graph.tensors):
            tensor.name = f"{g}/{t}".encode()
            if tensor.quantization is not None and tensor.quantization.scale is not None:
                tensor.quantization = _Shared(tensor.quantization, written)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


class _Shared(QuantizationParametersT):  # type: ignore[misc] # the package has no types
    """A tensor's quantisation, whose vectors are written once for all tensors that have the same."""

    def __init__(self, original: QuantizationParametersT, written: dict[bytes, int]) -> None:
        super().__init__()
        self.vectors = (np.asarray(original.scale, np.float32), np.asarray(original.zeroPoint, np.int64))
        self.quantizedDimension, self.written = original.quantizedDimension, written

    def Pack(self, builder: Any) -> Any:  # noqa: N802, ANN401  (as the generated code names and calls it)
        scale, zero = (self._place(builder, vector) for vector in self.vectors)
        QuantizationParametersStart(builder)
        QuantizationParametersAddScale(builder, scale)
        QuantizationParametersAddZeroPoint(builder, zero)
        QuantizationParametersAddQuantizedDimension(builder, self.quantizedDimension)
        return QuantizationParametersEnd(builder)

    def _place(self, builder: Any, vector: NDArray[Any]) -> int:  # noqa: ANN401
        key = vector.dtype.str.encode() + vector.tobytes()
        if key not in self.written:
            self.written[key] = builder.CreateNumpyVector(vector)
        return self.written[key]
