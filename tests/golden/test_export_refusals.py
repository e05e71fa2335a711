"""What an export refuses, and what is refused of it: altered files, artefacts that disagree, faces that are too few."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.emotions.classifier import EmotionClassifier
from edge_runtime.emotions.contract import Parity, Precision
from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import BundleError, DataError
from edge_runtime.scoring.datasets import read_faces
from export import parity
from export.calibrate import calibration_faces

NINE = [(engine, precision) for engine in ("onnx", "openvino", "tflite") for precision in ("fp32", "fp16", "int8")]


def test_a_changed_byte_is_refused(toy_bundle: Path, tmp_path: Path) -> None:
    """A model file with one changed byte does not load."""
    copy = tmp_path / "bundle"
    shutil.copytree(toy_bundle, copy)
    content = bytearray((copy / "student-int8.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "student-int8.tflite").write_bytes(content)
    with pytest.raises(BundleError, match="sha256 of"):
        EmotionClassifier.load(copy, engine="tflite")


def test_an_artefact_that_computes_something_else_is_refused(toy_bundle: Path, tmp_path: Path) -> None:
    """An artefact whose logits are not the model card's fails its self-test, though every sha256 is right."""
    copy = tmp_path / "bundle"
    shutil.copytree(toy_bundle, copy)
    raw = json.loads((copy / "model.json").read_text())
    for artefact in raw["artefacts"]:
        artefact["selftest"]["logits"][2][5] += 1
    (copy / "model.json").write_text(json.dumps(raw))
    for engine, precision in NINE:
        with pytest.raises(BundleError, match="self-test of"):
            EmotionClassifier.load(copy, engine=engine, precision=precision)


def test_a_flipped_weight_with_the_right_sha256_is_refused(toy_bundle: Path, tmp_path: Path) -> None:
    """A file with one changed weight byte, hashed anew, fails the self-test: artefact, difference and tolerance."""
    copy = tmp_path / "bundle"
    shutil.copytree(toy_bundle, copy)
    name = "student-fp32.bin"  # OpenVINO's weights and nothing else: any byte of it is one of a weight
    content = bytearray((copy / name).read_bytes())
    content[3] ^= 0x40  # the exponent of the first: a factor of 2^128 or its inverse
    (copy / name).write_bytes(content)
    raw = json.loads((copy / "model.json").read_text())
    for artefact in raw["artefacts"]:
        if name in artefact["files"]:
            artefact["files"][name] = hashlib.sha256(content).hexdigest()
    (copy / "model.json").write_text(json.dumps(raw))
    said = r"self-test of openvino fp32 on openvino .*: expected logits within 0\.001 .*, got a difference of "
    with pytest.raises(BundleError, match=said):
        EmotionClassifier.load(copy, engine="openvino", precision="fp32")


def test_garbage_with_the_right_sha256_is_refused(toy_bundle: Path, tmp_path: Path) -> None:
    """Bytes that no engine can load end in one clear error, in every engine."""
    copy = tmp_path / "bundle"
    shutil.copytree(toy_bundle, copy)
    raw = json.loads((copy / "model.json").read_text())
    for artefact in raw["artefacts"]:
        for name in artefact["files"]:
            (copy / name).write_bytes(b"not a network")
            artefact["files"][name] = hashlib.sha256(b"not a network").hexdigest()
    (copy / "model.json").write_text(json.dumps(raw))
    for engine, precision in NINE:
        with pytest.raises(BundleError, match="a network that the engine loads and runs"):
            EmotionClassifier.load(copy, engine=engine, precision=precision)


@pytest.mark.parametrize(
    ("agreement", "difference", "precision", "passes"),
    [
        (1.0, 0.0, "fp32", True),
        (0.96, 1.0, "int8", True),
        (0.959, 0.0, "int8", False),
        (1.0, 1e-2, "fp32", False),
        (1.0, 1e-2, "fp16", True),
        (0.9989, 0.0, "fp32", False),
        (0.9949, 0.0, "fp16", False),
        (1.0, 0.051, "fp16", False),
        (1.0, 1.51, "int8", False),
        (float("nan"), 0.0, "fp32", False),
        (1.0, float("nan"), "fp32", False),
    ],
)
def test_parity_gate(agreement: float, difference: float, precision: Precision, *, passes: bool) -> None:
    """The gate opens at 96 % agreement and the precision's largest difference, and never for a NaN."""
    measured = Parity(max_abs_diff=difference, top1_agreement=agreement, n=100)
    assert (parity.objection(measured, precision) is None) == passes


def test_calibration_faces_are_balanced_and_seeded(small_csv: Path) -> None:
    """Every emotion is there as often as the others, and the same seed draws the same faces."""
    faces = read_faces(small_csv, "Training")
    drawn = calibration_faces(faces, 70, seed=1)
    assert np.array_equal(drawn, calibration_faces(faces, 70, seed=1))
    assert not np.array_equal(drawn, calibration_faces(faces, 70, seed=2))
    labels = [int(faces.labels[(faces.images == face).all(axis=(1, 2))][0]) for face in drawn]
    assert np.bincount(labels).tolist() == [10] * 7


def test_calibration_on_too_few_faces_is_refused(small_csv: Path) -> None:
    """An emotion with too few faces is named, and the most that it would be enough for."""
    faces = read_faces(small_csv, "PublicTest")
    step = r"calibration faces of 'angry': expected at least 19, got 12\. Next: give --calibration 80\."
    with pytest.raises(DataError, match=step):
        calibration_faces(faces, 128, seed=1)
    calibration_faces(faces, 80, seed=1)


def test_calibration_without_an_emotion_is_refused(small_csv: Path) -> None:
    """An emotion that has no face at all is named."""
    faces = read_faces(small_csv, "Training")
    others = faces.labels != EMOTIONS.index("disgust")
    some = dataclasses.replace(faces, images=faces.images[others], labels=faces.labels[others])
    step = r"calibration faces of 'disgust': expected at least 10, got 0\. Next: add faces"
    with pytest.raises(DataError, match=step):
        calibration_faces(some, 64, seed=1)
