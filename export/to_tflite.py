"""Torch model to TFLite: fp32, fp16 weights, static int8; two signatures, batch 1 and batch 8, on the same weights."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
import torch
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe, recipe_manager
from numpy.typing import NDArray
from torch import nn

from export.chain import with_chains
from export.flatbuffer import compact

BATCHES = (1, 8)


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep the converter's every pass and the quantiser's progress bars from the export's own bar."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@_without_chatter()
def to_fp32(model: nn.Module) -> bytes:
    """Convert ``model`` in evaluation mode; TFLite has no dynamic batch, so each of ``BATCHES`` becomes a signature."""
    converter: Any = litert_torch
    model = with_chains(model)
    for batch in BATCHES:
        converter = converter.signature(_signature(batch), model, (torch.zeros(batch, 1, 48, 48),))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        converter.convert().export(str(path))
        return compact(path.read_bytes())


@_without_chatter()
def to_fp16(fp32: bytes) -> bytes:
    """Store the weights of an fp32 file in half precision; the interpreter widens them once, when it loads."""
    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    operators = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    caster = quantizer.Quantizer(bytearray(fp32))
    caster.update_quantization_recipe(
        ".*", qtyping.TFLOperationName.ALL_SUPPORTED, operators, recipe.AlgorithmName.FLOAT_CASTING
    )
    return bytes(caster.quantize(enable_progress_report=False).quantized_model)


@_without_chatter()
def to_int8(fp32: bytes, calibration: NDArray[np.float32]) -> bytes:
    """Quantise statically: per-channel int8 weights, int8 activations; float32 goes in and comes out.

    The engine's own kernels turn the face into int8 and the logits back, for which numpy needs 16 µs a face. The
    activations' ranges are the whole ones seen in ``calibration`` (n, 1, 48, 48): the quantiser's own aggregation is a
    moving average, which clips. And both signatures see the same faces, so that a face has the same logits whichever
    batch it comes in, but for a rounding: float kernels differ in the last bit.
    """
    static = recipe.static_wi8_ai8() + [
        {"regex": ".*", "operation": end, "algorithm_key": recipe.AlgorithmName.NO_QUANTIZE, "op_config": {}}
        for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT)
    ]
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(static)
    whole_range = calibrator.Calibrator(bytes(fp32), num_threads=1, qsv_update_func=_union)
    faces = {_signature(batch): [{"args_0": part} for part in _parts(calibration, batch)] for batch in BATCHES}
    whole_range.calibrate(faces, manager)
    result = quantizer.Quantizer(bytearray(fp32), static).quantize(
        whole_range.get_model_qsvs(), enable_progress_report=False
    )
    return compact(bytes(result.quantized_model))


def _signature(batch: int) -> str:
    return f"batch_{batch}"


def _parts(faces: NDArray[np.float32], batch: int) -> list[NDArray[np.float32]]:
    whole = len(faces) // batch * batch
    return list(faces[:whole].reshape(-1, batch, *faces.shape[1:]))


def _union(seen: qtyping.QSV, new: qtyping.QSV) -> qtyping.QSV:
    """Widen the range seen so far by a new one."""
    if not seen:
        return new
    return {"min": np.minimum(seen["min"], new["min"]), "max": np.maximum(seen["max"], new["max"])}
