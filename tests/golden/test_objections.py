"""What keeps an artefact out of a bundle, by the engine that would run it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from distill.networks import load_network
from edge_runtime.emotions.contract import Engine
from edge_runtime.emotions.normalise import normalise
from edge_runtime.scoring.datasets import read_faces
from export.artefacts import conversions, measure
from train.evaluate import predict


@pytest.mark.parametrize("engine", ["onnx", "openvino", "tflite"])
def test_what_an_engine_cannot_run_is_an_objection(engine: Engine, toy_student: Path, small_csv: Path) -> None:
    """A file that it cannot load, and one that answers what is no number, are left out with a reason."""
    student, public = load_network(toy_student), read_faces(small_csv, "PublicTest")
    reference = predict(student, public.images)
    contents = {"onnx": 1, "openvino": 2, "tflite": 1}[engine] * [b"no network"]
    files = {f"{k}": content for k, content in enumerate(contents)}
    found = measure(engine, "fp32", files, public, reference, 1.0, 0)
    assert isinstance(found, str)
    assert found.startswith("its engine cannot run it: ")
    broken = copy.deepcopy(student)
    with torch.no_grad():
        broken.classify.bias[2] = torch.nan
    made = {f: make for e, f, make in conversions("student", broken, normalise(public.images[:64])) if e == engine}
    found = measure(engine, "fp32", made["fp32"](), public, reference, 1.0, 0)
    assert isinstance(found, str)
    assert found.startswith("top-1 agreement with torch is 0.")
