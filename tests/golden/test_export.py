"""The export: nine artefacts that are the torch model, or are not written."""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

from distill.config import StudentConfig
from distill.networks import load_network
from distill.student import Student
from edge_runtime.emotions import selftest
from edge_runtime.emotions.backends.base import open_backend
from edge_runtime.emotions.classifier import EmotionClassifier
from edge_runtime.emotions.contract import read_card
from edge_runtime.emotions.normalise import normalise
from edge_runtime.errors import NotInstalledError, RegressionError
from edge_runtime.options import from_plain
from edge_runtime.scoring.datasets import read_faces
from export import bundle as exporting
from export import parity, to_tflite
from export.artefacts import conversions
from export.bundle import export, network_name
from export.chain import Chain
from export.config import ExportConfig
from export.elsewhere import verdicts
from export.flatbuffer import compact
from export.sensitivity import report, sensitivity
from train.checkpoint import load_meta, load_weights
from train.model import BiLSTM

NINE = [(engine, precision) for engine in ("onnx", "openvino", "tflite") for precision in ("fp32", "fp16", "int8")]


@pytest.fixture(scope="module")
def student(toy_student: Path) -> Student:
    """Load the toy student in torch."""
    model = Student(from_plain(StudentConfig, load_meta(toy_student)["config"]["student"]))
    load_weights(toy_student, model)
    return model.eval()


def test_bundle_holds_all_nine_artefacts(toy_bundle: Path) -> None:
    """Every engine at every precision is in the bundle, and nothing was left out."""
    card = read_card(toy_bundle)
    assert [(artefact.engine, artefact.precision) for artefact in card.artefacts] == NINE
    assert card.provenance.omitted == {}
    named = {name for artefact in card.artefacts for name in artefact.files}
    assert {path.name for path in toy_bundle.iterdir()} == named | {"model.json"}


@pytest.mark.parametrize(("engine", "precision"), NINE)
@pytest.mark.parametrize("n", [1, 3, 8, 17])
def test_every_artefact_equals_torch_at_every_batch(
    toy_bundle: Path, student: Student, small_csv: Path, engine: str, precision: str, n: int
) -> None:
    """An artefact's logits are the torch model's, whatever the number of faces."""
    faces = read_faces(small_csv, "PublicTest").images[:n]
    with torch.inference_mode():
        expected = student(torch.from_numpy(normalise(faces))).numpy()
    classifier = EmotionClassifier.load(toy_bundle, engine=engine, precision=precision)
    tolerance = {"fp32": 1e-4, "fp16": 2e-2, "int8": 0.15 * np.abs(expected).max()}[precision]
    assert np.abs(classifier.logits(faces) - expected).max() <= tolerance


@pytest.mark.parametrize(("engine", "precision"), NINE)
def test_a_face_has_the_same_logits_in_any_batch(toy_bundle: Path, engine: str, precision: str) -> None:
    """Batching changes nothing: nine faces together are the nine faces one by one.

    TFLite's two signatures are calibrated each by its own kernels, so there an int8 value may round the other way.
    """
    classifier = EmotionClassifier.load(toy_bundle, engine=engine, precision=precision)
    faces = selftest.faces(4, 9)
    alone = np.concatenate([classifier.logits(face[None]) for face in faces])
    steps = 0.05 if (engine, precision) == ("tflite", "int8") else 1e-4  # two steps of the toy's int8 logits
    assert np.abs(classifier.logits(faces) - alone).max() < steps


def test_the_card_and_the_files_are_named_after_the_network(toy_student: Path, tmp_path: Path) -> None:
    """A nano student's bundle is called so, and so are its files."""
    nano = tmp_path / "nano"
    shutil.copytree(toy_student, nano)
    meta = load_meta(nano)
    meta["config"]["network"] = "student-nano"
    (nano / "weights.json").write_text(json.dumps(meta))
    assert network_name(nano) == "student-nano"
    assert network_name(toy_student) == "student"
    engine, precision, convert = next(conversions("student-nano", load_network(nano), np.zeros(0, np.float32)))
    assert (engine, precision, list(convert())) == ("onnx", "fp32", ["student-nano-fp32.onnx"])


def test_a_chain_is_the_lstm() -> None:
    """Both directions in one chain of linear layers give the states of torch's bidirectional LSTM."""
    lstm = BiLSTM(6, 10)
    sequence = torch.randn(3, 9, 6)
    assert torch.allclose(Chain(lstm)(sequence), lstm(sequence), atol=1e-6)


def test_a_recurrent_student_is_an_artefact_in_every_engine() -> None:
    """A student with a BiLSTM gives torch's logits in every engine; in int8 it names the same emotions."""
    torch.manual_seed(0)
    shape = StudentConfig(widths=(8, 8, 8, 16), blocks=(1, 1, 1, 1), dense_stages=1, context="bilstm", context_width=16)
    model, faces = Student(shape).eval(), normalise(selftest.faces(5, 64))
    with torch.inference_mode():
        expected = model(torch.from_numpy(faces)).numpy()
    for engine, precision, convert in conversions("student", model, faces):
        logits = open_backend(engine, list(convert().values()), threads=1).infer(faces)
        # an untrained network's logits are small beside what rounding moves them by
        tolerance = {"fp32": 1e-4, "fp16": 1e-3, "int8": 0.25 * np.abs(expected).max()}[precision]
        np.testing.assert_allclose(logits, expected, atol=tolerance, err_msg=f"{engine} {precision}")
        assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all(), f"{engine} {precision}"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tflite_reads_and_writes_floating_point(toy_bundle: Path, precision: str) -> None:
    """Whatever the precision within: the engine turns a face into int8 faster than numpy, and users need no scale."""
    interpreter = Interpreter(str(toy_bundle / f"student-{precision}.tflite"))
    for batch in to_tflite.BATCHES:
        runner = interpreter.get_signature_runner(f"batch_{batch}")
        (reads,), (writes,) = runner.get_input_details().values(), runner.get_output_details().values()
        assert (tuple(reads["shape"]), tuple(writes["shape"])) == ((batch, 1, 48, 48), (batch, 7))
        assert reads["dtype"] == writes["dtype"] == np.float32


def test_compacting_changes_no_logit(toy_bundle: Path) -> None:
    """A TFLite file that shares its scales is the same network in fewer bytes."""
    name = "student-int8.tflite"
    small = (toy_bundle / name).read_bytes()
    parsed = flatbuffer_utils.convert_bytearray_to_object(bytearray(small))
    large = bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))  # written plainly, nothing is shared
    assert len(small) < 0.8 * len(large)
    faces = normalise(selftest.faces(3, 9))
    logits = [open_backend("tflite", [model], threads=1).infer(faces) for model in (small, large, compact(large))]
    assert np.array_equal(logits[0], logits[1])
    assert np.array_equal(logits[0], logits[2])


def test_an_artefact_that_disagrees_is_left_out_and_named(
    toy_student: Path,
    toy_bundle: Path,
    small_csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong conversion is not written, the others are, the reason is in the provenance and the command fails.

    What somebody keeps beside the bundle stays. What each layer costs is printed all the same.
    """
    right = to_tflite.to_int8

    def clipping(fp32: bytes, calibration: NDArray[np.float32]) -> bytes:
        return right(fp32, calibration * np.float32(0.05))

    monkeypatch.setattr(to_tflite, "to_int8", clipping)
    out = tmp_path / "bundle"
    kept = [tmp_path / "bundle.old" / "mine", tmp_path / "bundle.partial" / "mine"]
    for mine in kept:
        mine.parent.mkdir()
        mine.touch()
    with pytest.raises(RegressionError, match="tflite int8"):
        export(ExportConfig(weights=toy_student, data=small_csv, out=out, calibration=64))
    assert sorted(tmp_path.glob("**/mine")) == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "bundle.old", "bundle.partial"]
    card = read_card(out)
    assert len(card.artefacts) == 8
    assert "tflite int8" in card.provenance.omitted
    assert not (out / "student-int8.tflite").exists()
    whole = shutil.copytree(toy_bundle, tmp_path / "whole")  # it holds what would be left out
    before = (whole / "model.json").read_bytes()
    two = {("onnx", "fp32"), ("tflite", "int8")}  # one that agrees and one that does not say it all
    monkeypatch.setattr(
        exporting, "conversions", lambda *given: [each for each in conversions(*given) if each[:2] in two]
    )
    monkeypatch.setattr(exporting, "sensitivity", lambda *_: [])
    monkeypatch.setattr(exporting, "report", lambda *_: "what each layer costs")
    with pytest.raises(RegressionError, match="the bundle from before stays"):
        export(ExportConfig(weights=toy_student, data=small_csv, out=whole, calibration=64, sensitivity=True))
    assert "what each layer costs" in capsys.readouterr().out
    assert (whole / "model.json").read_bytes() == before


def test_each_layer_is_measured_alone(student: Student, small_csv: Path) -> None:
    """The input, each unit, linear layer and sum has a row; a layer with coarse weights is the dearest."""
    public = read_faces(small_csv, "PublicTest")
    calibration = normalise(read_faces(small_csv, "Training").images[:64])
    coarse = copy.deepcopy(student)
    with torch.no_grad():  # one weight that is a thousand times the others leaves these no values but zero
        coarse.attention.hidden.weight[:, 0] = 0
        coarse.classify.weight[:, 0] = 1000
    costs = sensitivity(coarse, calibration, public)
    layers = {cost.layer for cost in costs}
    assert {"input", "backbone.0", "backbone.1.first", "attention.hidden", "attention", "classify"} <= layers
    assert len(layers) == len(costs)
    assert costs[0].layer == "classify"
    assert all(0 <= cost.top1_agreement <= 1 for cost in costs)
    assert "kept in floating point: none" in report(costs, coarse)


def test_another_python_s_verdict_is_in_the_card(toy_bundle: Path, student: Student, small_csv: Path) -> None:
    """The interpreter of the named Python judges every TFLite artefact as a device would; one without is refused."""
    faces = read_faces(small_csv, "PublicTest").images
    with torch.inference_mode():
        reference = student(torch.from_numpy(normalise(faces))).numpy()
    found = verdicts(Path(sys.executable), toy_bundle, faces, reference)
    assert set(found) == {"tflite fp32", "tflite fp16", "tflite int8"}
    assert {name.split()[0] for others in found.values() for name in others} == {"ai-edge-litert"}
    assert {verdict for others in found.values() for verdict in others.values()} == {"right"}
    wrong = verdicts(Path(sys.executable), toy_bundle, faces, -reference)
    assert all("top-1 agreement" in verdict for others in wrong.values() for verdict in others.values())
    with pytest.raises(NotInstalledError, match="pi-legacy"):
        verdicts(Path("no/such/python"), toy_bundle, faces, reference)


@pytest.mark.slow
def test_tflite_artefacts_are_right_on_tflite_runtime(
    tflite_runtime: Path, student: Student, toy_bundle: Path, small_csv: Path
) -> None:
    """The older interpreter computes the same."""
    faces = read_faces(small_csv, "PublicTest").images
    with torch.inference_mode():
        reference = student(torch.from_numpy(normalise(faces))).numpy()
    found = verdicts(tflite_runtime, toy_bundle, faces, reference)
    assert found == {f"tflite {p}": {"tflite-runtime 2.14.0": "right"} for p in ("fp32", "fp16", "int8")}


@pytest.fixture(scope="module")
def full_bundle(small_csv: Path, toy_teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the toy full model; how sure so small a network is, and whether it survives int8, is not asked here."""
    out = tmp_path_factory.mktemp("export") / "full"
    with contextlib.suppress(RegressionError), pytest.MonkeyPatch.context() as patch:
        patch.setitem(parity.TOP1_AGREEMENT, "fp16", 0.0)
        export(ExportConfig(weights=toy_teacher, data=small_csv, out=out, calibration=64))
    return out


@pytest.mark.parametrize("n", [1, 3, 17])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_the_full_model_is_an_artefact_too(
    full_bundle: Path, toy_teacher: Path, small_csv: Path, engine: str, precision: str, n: int
) -> None:
    """Autoencoder, LSTM and attention give torch's logits in both engines, at any batch."""
    card = read_card(full_bundle)
    assert card.name == "full"
    assert {artefact.engine for artefact in card.artefacts} == {"onnx", "openvino"}
    faces = read_faces(small_csv, "PublicTest").images[:n]
    with torch.inference_mode():
        expected = load_network(toy_teacher, "model")(torch.from_numpy(normalise(faces))).numpy()
    classifier = EmotionClassifier.load(full_bundle, engine=engine, precision=precision)
    np.testing.assert_allclose(classifier.logits(faces), expected, atol={"fp32": 1e-4, "fp16": 2e-2}[precision])
