"""The bundle that an export writes into: what it replaces and keeps, what it refuses, and what it leaves as it was."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from distill.networks import load_network
from edge_runtime.emotions.contract import read_card, write_card
from edge_runtime.errors import NotInstalledError, SinkError, UsageError
from export import bundle as exporting
from export.bundle import export
from export.config import ExportConfig


@pytest.fixture
def old_bundle(toy_bundle: Path, tmp_path: Path) -> Path:
    """Make a bundle from before, alone in its folder."""
    return shutil.copytree(toy_bundle, tmp_path / "bundle")


def untouched(bundle: Path, as_before: Path) -> bool:
    """Whether the bundle from before is as it was, and nothing lies beside it."""
    old, now = ({file.name: file.read_bytes() for file in folder.iterdir()} for folder in (as_before, bundle))
    return old == now and [*bundle.parent.iterdir()] == [bundle]


def test_a_full_disk_leaves_the_old_bundle_untouched(
    toy_student: Path, toy_bundle: Path, small_csv: Path, old_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up in mid-export ends in one clear error."""

    def write(path: Path, content: bytes) -> int:
        if "fp16" in path.name:
            raise OSError(28, "No space left on device")
        with path.open("wb") as file:
            return file.write(content)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(SinkError, match=r"expected room on the disk.*No space left"):
        export(ExportConfig(weights=toy_student, data=small_csv, out=old_bundle, calibration=64))
    assert untouched(old_bundle, toy_bundle)


def test_an_operator_that_an_engine_lacks_leaves_the_old_bundle_untouched(
    toy_student: Path, toy_bundle: Path, small_csv: Path, old_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network with an operator that ONNX has not ends in one clear error that names engine and precision."""

    class Strange(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.student = load_network(toy_student)

        def forward(self, faces: torch.Tensor) -> torch.Tensor:
            return self.student(torch.special.bessel_j0(faces))

    monkeypatch.setattr(exporting, "load_network", lambda _: Strange().eval())
    with pytest.raises(UsageError, match="student for onnx fp32: expected a network that it can convert"):
        export(ExportConfig(weights=toy_student, data=small_csv, out=old_bundle, calibration=64))
    assert untouched(old_bundle, toy_bundle)


def test_export_replaces_nothing_but_a_bundle(
    toy_bundle: Path, toy_student: Path, small_csv: Path, tmp_path: Path
) -> None:
    """A folder or file of something else, the weights themselves and a folder above them are refused, and stay.

    So is what others call model.json, too, and a bundle beside which something else lies.
    """
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "monday.txt").write_text("rain")
    (tmp_path / "javascript").mkdir()
    (tmp_path / "javascript" / "model.json").write_text('{"format": "layers-model"}')
    shutil.copytree(toy_bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / "evaluation.json").write_text("{}")
    ours = [tmp_path / "diary", tmp_path / "diary" / "monday.txt", tmp_path / "javascript", tmp_path / "bundle"]
    for out in (*ours, toy_student, toy_student.parent):
        with pytest.raises(UsageError, match="a new folder, or a bundle to replace"):
            export(ExportConfig(weights=toy_student, data=small_csv, out=out, calibration=64))
    assert (tmp_path / "diary" / "monday.txt").read_text() == "rain"
    assert (toy_student / "weights.safetensors").exists()


def test_private_test_of_the_same_files_stays_known(
    toy_bundle: Path, toy_student: Path, small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read once for each model: exporting the same weights again does not forget it, other files have none."""
    out, tflite = tmp_path / "bundle", next(a for a in read_card(toy_bundle).artefacts if a.engine == "tflite")
    monkeypatch.setattr(exporting, "conversions", lambda *_: [(tflite.engine, tflite.precision, lambda: files)])
    files = {name: (toy_bundle / name).read_bytes() for name in tflite.files}
    config = ExportConfig(weights=toy_student, data=small_csv, out=out, calibration=64)
    export(config)
    card = read_card(out)
    known = card.artefacts[0].metrics | {"PrivateTest": card.artefacts[0].metrics["PublicTest"]}
    write_card(out, dataclasses.replace(card, artefacts=(dataclasses.replace(card.artefacts[0], metrics=known),)))
    export(config)
    assert read_card(out).artefacts[0].metrics == known
    other = dataclasses.replace(card.artefacts[0], metrics=known, files=dict.fromkeys(files, "0" * 64))
    write_card(out, dataclasses.replace(card, artefacts=(other,)))
    export(config)
    assert read_card(out).artefacts[0].metrics.keys() == {"PublicTest"}


def test_the_card_s_command_names_no_folder(
    toy_student: Path, small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a path from the root the last name is kept, also behind "=" and before a slash at the end."""
    command = ["fer-edge", "export", f"--weights={toy_student}", "--data", str(small_csv), "--out", f"{tmp_path}/b/"]
    monkeypatch.setattr("sys.argv", command)
    shown: list[str] = []
    monkeypatch.setattr(exporting, "write_bundle", lambda *given: shown.append(given[-1].command) or given)
    with pytest.raises(AttributeError):  # what is written is not asked for here
        export(ExportConfig(weights=toy_student, data=small_csv, out=tmp_path / "b", calibration=64))
    assert shown == [f"fer-edge export --weights={toy_student.name} --data {small_csv.name} --out b"]


def test_sensitivity_of_a_full_model_is_refused(toy_teacher: Path, tmp_path: Path) -> None:
    """Only a student's int8 arithmetic is simulated; that is said before any face is read."""
    with pytest.raises(UsageError, match="--sensitivity: expected the weights of a student"):
        export(ExportConfig(weights=toy_teacher, out=tmp_path / "bundle", sensitivity=True))


def test_a_python_without_the_older_interpreter_is_noticed_first(tmp_path: Path) -> None:
    """A wrong path and a Python that lacks it end in one error, before weights or faces are read."""
    for python in (tmp_path / "python", Path(sys.executable)):
        with pytest.raises(NotInstalledError, match=r"--tflite-runtime .*expected tflite-runtime"):
            export(ExportConfig(weights=tmp_path, data=tmp_path, out=tmp_path / "bundle", tflite_runtime=python))
    assert [*tmp_path.iterdir()] == []
