"""The committed bundle: whole, equal in three engines, as accurate as its model card says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from distill.networks import load_network
from edge_runtime.emotions import selftest
from edge_runtime.emotions.classifier import SHIPPED, EmotionClassifier
from edge_runtime.emotions.contract import Artefact, read_card, read_files
from edge_runtime.scoring.datasets import FaceSet
from edge_runtime.scoring.metrics import score, softmax
from export import parity
from train.evaluate import predict

WEIGHTS = Path(__file__).resolve().parents[2] / "train" / "weights" / "student"
CARD = read_card(SHIPPED / "student")
EACH = pytest.mark.parametrize("artefact", CARD.artefacts, ids=str)


def test_all_nine_artefacts_are_shipped_and_no_other_file() -> None:
    """Three engines at three precisions, the files that the card names, and the card."""
    assert len(CARD.artefacts) == 9
    assert CARD.provenance.omitted == {}
    named = {name for artefact in CARD.artefacts for name in artefact.files}
    assert {path.name for path in (SHIPPED / "student").iterdir()} == named | {"model.json"}


@EACH
def test_files_are_the_ones_that_were_measured(artefact: Artefact) -> None:
    """Every sha256 and the size are right."""
    assert sum(map(len, read_files(SHIPPED / "student", artefact))) == artefact.size_bytes


def test_int8_is_small_and_as_accurate_as_fp32() -> None:
    """Quantisation costs at most three tenths of a point in each engine; the files are as small as they must be."""
    cards = {(a.engine, a.precision): a for a in CARD.artefacts}
    accuracy = {key: artefact.metrics["PublicTest"].accuracy for key, artefact in cards.items()}
    for engine, most in (("onnx", 950_000), ("openvino", 950_000), ("tflite", 600_000)):
        assert accuracy[engine, "int8"] >= accuracy[engine, "fp32"] - 0.003
        assert accuracy[engine, "int8"] >= 0.67
        assert cards[engine, "int8"].size_bytes <= most


@pytest.fixture(scope="module")
def reference(public_test: FaceSet) -> NDArray[np.float32]:
    """Logits of PublicTest by the committed weights, in torch."""
    return predict(load_network(WEIGHTS), public_test.images)


@EACH
def test_parity_and_accuracy_are_measured_again(
    artefact: Artefact, public_test: FaceSet, reference: NDArray[np.float32]
) -> None:
    """On the whole of PublicTest, by its own engine here, it passes the gate and is what its card says."""
    classifier = EmotionClassifier.load("student", engine=artefact.engine, precision=artefact.precision)
    faces = public_test.images
    logits = np.concatenate([classifier.logits(faces[i : i + 64]) for i in range(0, len(faces), 64)])
    agreement = parity.compare(reference, logits)
    assert parity.objection(agreement, artefact.precision) is None
    assert agreement.top1_agreement == pytest.approx(artefact.parity.top1_agreement, abs=0.003)
    measured, claimed = score(public_test.labels, softmax(logits, CARD.temperature)), artefact.metrics["PublicTest"]
    assert (measured.n, artefact.parity.n) == (claimed.n, claimed.n)
    assert measured.accuracy == pytest.approx(claimed.accuracy, abs=0.005)
    assert measured.ece == pytest.approx(claimed.ece, abs=0.01)


def test_three_engines_agree_at_int8() -> None:
    """On the same faces the int8 artefacts' probabilities differ by little."""
    faces = selftest.faces(11, 32)
    engines = [EmotionClassifier.load("student", engine=engine) for engine in ("onnx", "openvino", "tflite")]
    probabilities = [softmax(engine.logits(faces)) for engine in engines]
    for other in probabilities[1:]:
        assert np.abs(probabilities[0] - other).max() < 0.15
        assert np.abs(probabilities[0] - other).mean() < 0.02
