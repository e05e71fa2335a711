"""The committed bundle: whole, equal in three engines, as accurate as its model card says."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.emotions import selftest
from edge_runtime.emotions.classifier import SHIPPED, EmotionClassifier
from edge_runtime.emotions.contract import Artefact, read_card, read_files
from edge_runtime.scoring.datasets import FaceSet
from edge_runtime.scoring.metrics import score, softmax

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


@EACH
def test_parity_with_torch_was_reached(artefact: Artefact) -> None:
    """The card records at least 98 % agreement over the whole of PublicTest."""
    assert artefact.parity.n == 3589
    assert artefact.parity.top1_agreement >= 0.98


def test_int8_is_small_and_within_a_point_of_fp32() -> None:
    """Quantisation costs at most a point in each engine, and the TFLite file is at most 700 kB."""
    accuracy = {(a.engine, a.precision): a.metrics["PublicTest"].accuracy for a in CARD.artefacts}
    for engine in ("onnx", "openvino", "tflite"):
        assert accuracy[engine, "int8"] >= accuracy[engine, "fp32"] - 0.01
        assert accuracy[engine, "int8"] >= 0.64
    (size,) = (a.size_bytes for a in CARD.artefacts if (a.engine, a.precision) == ("tflite", "int8"))
    assert size <= 700_000


@EACH
def test_accuracy_of_the_card_is_measured_again(artefact: Artefact, public_test: FaceSet) -> None:
    """On the real PublicTest the artefact is, by its own engine here, what its card says to half a point."""
    classifier = EmotionClassifier.load("student", engine=artefact.engine, precision=artefact.precision)
    parts = [classifier.probabilities(public_test.images[i : i + 64]) for i in range(0, len(public_test), 64)]
    measured, claimed = score(public_test.labels, np.concatenate(parts)), artefact.metrics["PublicTest"]
    assert measured.n == claimed.n
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
