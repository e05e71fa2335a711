"""What a network is converted to, and how each artefact is measured by its own engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from edge_runtime.emotions import selftest
from edge_runtime.emotions.backends.base import open_backend
from edge_runtime.emotions.contract import Artefact, Crop, Engine, Input, Precision, SelfTest, SplitMetrics
from edge_runtime.emotions.labels import FACE_SIZE
from edge_runtime.emotions.normalise import MEAN, STD, normalise
from edge_runtime.scoring.datasets import FaceSet
from edge_runtime.scoring.metrics import score, softmax
from export import parity, to_onnx, to_openvino, to_tflite

READS = Input(size_hw=(FACE_SIZE, FACE_SIZE), channels=1, mean=MEAN, std=STD, crop=Crop(rule="five-point", margin=0.0))
SELF_TEST_FACES = 24
"""So many that what comes out wrong of one in ten is found."""

ENGINES: dict[str, tuple[Engine, ...]] = {
    "student": ("onnx", "openvino", "tflite"),
    "student-nano": ("onnx", "openvino", "tflite"),
    "full": ("onnx", "openvino"),
}
"""What each network is converted to; TFLite is for boards, and the full model is for a workstation."""

Files = dict[str, bytes]
"""Name to content, the engine's main file first."""


def conversions(
    name: str, model: torch.nn.Module, calibration: NDArray[np.float32]
) -> Iterator[tuple[Engine, Precision, Callable[[], Files]]]:
    """Yield each artefact of ``ENGINES[name]`` with what makes its files when it is called."""
    onnx, tflite = cache(partial(to_onnx.to_fp32, model)), cache(partial(to_tflite.to_fp32, model))
    contents: dict[Engine, dict[Precision, Callable[[], tuple[bytes, ...]]]] = {
        "onnx": {
            "fp32": lambda: (onnx(),),
            "fp16": lambda: (to_onnx.to_fp16(onnx()),),
            "int8": lambda: (to_onnx.to_int8(onnx(), calibration),),
        },
        "openvino": {
            "fp32": lambda: to_openvino.to_fp(onnx(), half=False),
            "fp16": lambda: to_openvino.to_fp(onnx(), half=True),
            "int8": lambda: to_openvino.to_int8(onnx(), calibration),
        },
        "tflite": {
            "fp32": lambda: (tflite(),),
            "fp16": lambda: (to_tflite.to_fp16(tflite()),),
            "int8": lambda: (to_tflite.to_int8(tflite(), calibration),),
        },
    }
    for engine in ENGINES[name]:
        for precision, make in contents[engine].items():
            yield engine, precision, partial(_named, name, engine, precision, make)


def _named(name: str, engine: Engine, precision: Precision, make: Callable[[], tuple[bytes, ...]]) -> Files:
    """Make an artefact's files under their names."""
    endings = ("xml", "bin") if engine == "openvino" else (engine,)
    return {f"{name}-{precision}.{ending}": content for ending, content in zip(endings, make(), strict=True)}


def measure(
    engine: Engine,
    precision: Precision,
    files: Files,
    public: FaceSet,
    reference: NDArray[np.float32],
    temperature: float,
    seed: int,
) -> Artefact | str:
    """Run an artefact by its own engine over ``public``.

    Return what the model card says of it, or the gate's objection: the engine cannot run it, or is not near torch.
    """
    try:
        backend = open_backend(engine, list(files.values()), threads=torch.get_num_threads())
        batches = [backend.infer(normalise(public.images[i : i + 64])) for i in range(0, len(public), 64)]
        expected = selftest.run(backend, READS, seed, SELF_TEST_FACES)
    except (RuntimeError, ValueError) as error:  # what the engines raise at a network that they cannot run
        return "its engine cannot run it: " + " ".join(str(error).split())[:300]
    backend.close()
    agreement = parity.compare(reference, logits := np.concatenate(batches))
    if objection := parity.objection(agreement, precision):
        return objection
    metrics = score(public.labels, softmax(logits, temperature))
    return Artefact(
        engine=engine,
        precision=precision,
        layout="NCHW",
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        size_bytes=sum(map(len, files.values())),
        metrics={
            public.split: SplitMetrics(
                n=metrics.n, accuracy=metrics.accuracy, macro_f1=metrics.macro_f1, ece=metrics.ece
            )
        },
        parity=agreement,
        selftest=SelfTest(
            seed=seed,
            n=SELF_TEST_FACES,
            logits=tuple(tuple(round(float(value), 6) for value in row) for row in expected),
            tolerance=parity.SELF_TEST_TOLERANCE[precision],
        ),
    )
