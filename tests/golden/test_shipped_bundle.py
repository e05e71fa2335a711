"""The committed bundles: whole, equal in three engines, as accurate as their model cards say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.arm.gate import BASELINE, read_record
from distill.networks import load_network
from edge_runtime.emotions import selftest
from edge_runtime.emotions.backends.base import ENGINES, open_backend
from edge_runtime.emotions.classifier import SHIPPED, EmotionClassifier, shipped_bundles
from edge_runtime.emotions.contract import Artefact, Engine, read_card, read_files
from edge_runtime.emotions.normalise import normalise
from edge_runtime.scoring.datasets import FaceSet
from edge_runtime.scoring.metrics import score, softmax
from export import parity
from train.evaluate import predict

WEIGHTS = Path(__file__).resolve().parents[2] / "train" / "weights"
CARDS = {name: read_card(SHIPPED / name) for name in shipped_bundles()}
BUNDLE = pytest.mark.parametrize("bundle", CARDS)
EACH = pytest.mark.parametrize(
    ("bundle", "artefact"),
    [pytest.param(name, artefact, id=f"{name} {artefact}") for name in CARDS for artefact in CARDS[name].artefacts],
)
LEAST_ACCURACY = {"student": 0.704, "student-nano": 0.666}
MOST_LOST = {"student": 0.003, "student-nano": 0.005}
MOST_ECE = {"student": 0.03, "student-nano": 0.031}
MOST_INSTRUCTIONS = {
    ("student", "pi5"): 4e6,
    ("student", "pi4"): 8e6,
    ("student-nano", "pi5"): 1.5e6,
    ("student-nano", "pi4"): 3e6,
}
MOST_BYTES: dict[tuple[str, Engine], int] = {
    ("student", "onnx"): 950_000,
    ("student", "openvino"): 950_000,
    ("student", "tflite"): 600_000,
    ("student-nano", "onnx"): 180_000,
    ("student-nano", "openvino"): 150_000,
    ("student-nano", "tflite"): 120_000,
}


def test_both_students_are_shipped() -> None:
    """The default, and the one for the smallest boards."""
    assert CARDS.keys() == LEAST_ACCURACY.keys()


@BUNDLE
def test_all_nine_artefacts_are_shipped_and_no_other_file(bundle: str) -> None:
    """Three engines at three precisions, the files that the card names, and the card."""
    card = CARDS[bundle]
    assert card.name == bundle
    assert len(card.artefacts) == 9
    assert card.provenance.omitted == {}
    named = {name for artefact in card.artefacts for name in artefact.files}
    assert {path.name for path in (SHIPPED / bundle).iterdir()} == named | {"model.json"}


@EACH
def test_files_are_the_ones_that_were_measured(bundle: str, artefact: Artefact) -> None:
    """Every sha256 and the size are right."""
    assert sum(map(len, read_files(SHIPPED / bundle, artefact))) == artefact.size_bytes


@BUNDLE
def test_int8_is_small_and_as_accurate_as_fp32(bundle: str) -> None:
    """Quantisation costs tenths of a point in each engine; the files are as small as they must be."""
    cards = {(a.engine, a.precision): a for a in CARDS[bundle].artefacts}
    accuracy = {key: artefact.metrics["PublicTest"].accuracy for key, artefact in cards.items()}
    for engine in ENGINES:
        assert accuracy[engine, "int8"] >= accuracy[engine, "fp32"] - MOST_LOST[bundle]
        assert accuracy[engine, "int8"] >= LEAST_ACCURACY[bundle]
        # of OpenVINO's two files the one that holds the weights
        sizes = [(SHIPPED / bundle / name).stat().st_size for name in cards[engine, "int8"].files if ".xml" not in name]
        assert sum(sizes) <= MOST_BYTES[bundle, engine]


@EACH
def test_tflite_files_are_right_on_the_older_interpreter_too(bundle: str, artefact: Artefact) -> None:
    """The card says so of each, for the export ran them on it, and of no other engine's."""
    expected = {"tflite-runtime 2.14.0": "right"} if artefact.engine == "tflite" else {}
    assert artefact.elsewhere == expected, bundle


@EACH
def test_confidence_means_what_it_says(bundle: str, artefact: Artefact) -> None:
    """Confidence and accuracy lie little apart at the temperature that is shipped."""
    assert artefact.metrics["PublicTest"].ece <= MOST_ECE[bundle]


def test_a_board_can_afford_the_networks() -> None:
    """Arm instructions of one face through TFLite int8, as make arm has counted them."""
    counts = read_record(BASELINE).counts
    for (bundle, board), most in MOST_INSTRUCTIONS.items():
        assert counts[f"{board} / 3.11 / {bundle} tflite int8 / network"] <= most


@pytest.fixture(scope="module")
def references(public_test: FaceSet) -> dict[str, NDArray[np.float32]]:
    """Logits of PublicTest by the committed weights of each bundle, in torch."""
    return {name: predict(load_network(WEIGHTS / name), public_test.images) for name in CARDS}


@EACH
def test_parity_and_accuracy_are_measured_again(
    bundle: str, artefact: Artefact, public_test: FaceSet, references: dict[str, NDArray[np.float32]]
) -> None:
    """On the whole of PublicTest, by its own engine here, it passes the gate and is what its card says."""
    classifier = EmotionClassifier.load(bundle, engine=artefact.engine, precision=artefact.precision)
    faces, temperature = public_test.images, CARDS[bundle].temperature
    logits = np.concatenate([classifier.logits(faces[i : i + 64]) for i in range(0, len(faces), 64)])
    agreement = parity.compare(references[bundle], logits)
    assert parity.objection(agreement, artefact.precision) is None
    assert agreement.top1_agreement == pytest.approx(artefact.parity.top1_agreement, abs=0.003)
    measured, claimed = score(public_test.labels, softmax(logits, temperature)), artefact.metrics["PublicTest"]
    assert (measured.n, artefact.parity.n) == (claimed.n, claimed.n)
    assert measured.accuracy == pytest.approx(claimed.accuracy, abs=0.005)
    assert measured.ece == pytest.approx(claimed.ece, abs=0.01)


@BUNDLE
def test_three_engines_agree_at_int8(bundle: str) -> None:
    """On the same faces the int8 artefacts' probabilities differ by little."""
    faces = selftest.faces(11, 32)
    engines = [EmotionClassifier.load(bundle, engine=engine) for engine in ENGINES]
    probabilities = [softmax(engine.logits(faces)) for engine in engines]
    for other in probabilities[1:]:
        assert np.abs(probabilities[0] - other).max() < 0.15
        assert np.abs(probabilities[0] - other).mean() < 0.02


@EACH
def test_threads_change_nothing(bundle: str, artefact: Artefact) -> None:
    """Two threads that share many faces give what one gives, each time."""
    faces = normalise(selftest.faces(13, 64))
    engines = [open_backend(artefact.engine, read_files(SHIPPED / bundle, artefact), threads) for threads in (1, 2)]
    alone, *shared = [engines[index].infer(faces) for index in (0, 1, 1, 1)]
    for logits in shared:
        np.testing.assert_allclose(logits, alone, atol=1e-4)


@EACH
def test_no_file_tells_of_the_machine_that_made_it(bundle: str, artefact: Artefact) -> None:
    """Exporters note the lines of code that a node came from, with their folders."""
    traces = (b"site-packages", b'.py"', bytes(Path(__file__).parents[2]))
    assert not any(trace in content for content in read_files(SHIPPED / bundle, artefact) for trace in traces)


def test_the_pages_show_what_ships() -> None:
    """The table of docs/student.md has the cards' figures of every file, and the README those of TFLite int8."""
    root = Path(__file__).parents[2]
    page, readme = ((root / name).read_text(encoding="utf-8") for name in ("docs/student.md", "README.md"))
    for bundle, card in CARDS.items():
        for artefact in card.artefacts:
            metrics, size = artefact.metrics["PublicTest"], f"{artefact.size_bytes / 1000:,.0f}"
            accuracy = f"{metrics.accuracy * 100:.1f}"
            cells = (bundle, artefact.engine, artefact.precision, size, accuracy, f"{metrics.macro_f1 * 100:.1f}")
            agreement = f"{artefact.parity.top1_agreement * 100:.1f}"
            assert f"| {' | '.join((*cells, f'{metrics.ece:.3f}', agreement))} |" in page
            if (artefact.engine, artefact.precision) == ("tflite", "int8"):
                (line,) = (line for line in readme.splitlines() if re.match(rf"\| `{bundle}` .* kB ", line))
                assert f"| {size} kB | {accuracy} % |" in line
