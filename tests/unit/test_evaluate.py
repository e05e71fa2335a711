"""fer-edge evaluate: bundles, weights, ensembles, mirror averaging, corruptions, and what it writes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import accuracy, candidates, corruptions
from benchmarks.accuracy import EvaluateOptions, also_in_training, describe, measure
from benchmarks.candidates import Candidate, mirrored, of_weights
from edge_runtime.cli import main
from edge_runtime.emotions import selftest
from edge_runtime.emotions.contract import read_card
from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import NotInstalledError, UsageError
from edge_runtime.scoring.datasets import read_faces


def test_evaluate_prints_the_accuracy_of_the_model_card(
    toy_bundle: Path, small_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each artefact's accuracy, measured anew by its engine, is the one in model.json."""
    assert main(["evaluate", "--bundle", str(toy_bundle), "--data", str(small_csv)]) == 0
    printed = capsys.readouterr().out
    for artefact in read_card(toy_bundle).artefacts:
        line = next(line for line in printed.splitlines() if line.startswith(f"{artefact}:"))
        assert f"accuracy {artefact.metrics['PublicTest'].accuracy:.1%} [" in line


def test_an_artefact_that_is_wrong_here_does_not_hide_the_others(
    toy_bundle: Path, small_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One whose self-test fails is named, the others are measured and written, and the command ends with 3."""
    bundle = tmp_path / "bundle"
    shutil.copytree(toy_bundle, bundle)
    card = json.loads((bundle / "model.json").read_text())
    card["artefacts"][0]["selftest"]["logits"][0][0] += 50
    (bundle / "model.json").write_text(json.dumps(card))
    assert main(["evaluate", "--bundle", str(bundle), "--data", str(small_csv), "--out", str(tmp_path / "out")]) == 3
    printed = capsys.readouterr()
    names = [str(artefact) for artefact in read_card(bundle).artefacts]
    assert any(line.startswith(names[0]) and "refused" in line for line in printed.out.splitlines())
    assert names[0] in printed.err
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())["candidates"]
    assert [row["name"] for row in written] == names[1:]


def test_weights_and_their_ensemble(
    toy_teacher: Path, toy_student: Path, small_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full model and a student are measured as they were at the end of their runs, and together as an ensemble."""
    arguments = ["evaluate", "--weights", str(toy_teacher), str(toy_student), "--data", str(small_csv)]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert [row["name"] for row in report["candidates"]] == [str(toy_teacher), str(toy_student), "ensemble of 2"]
    for folder, row in zip((toy_teacher, toy_student), report["candidates"][:2], strict=True):
        # the run scored single-precision weights, what is kept of them is half
        trained = json.loads((folder / "weights.json").read_text())["public_test"]
        assert row["accuracy"] == pytest.approx(trained["accuracy"], abs=0.025)
    alone = [c.predict(read_faces(small_csv, "PublicTest").images) for c in of_weights([toy_teacher, toy_student], 1)]
    np.testing.assert_allclose(alone[2], (alone[0] + alone[1]) / 2, atol=1e-6)
    printed = capsys.readouterr().out
    assert "ensemble of 2: accuracy" in printed
    assert "macro     precision" in printed


def test_pictures_are_written_and_nothing_half(toy_teacher: Path, small_csv: Path, tmp_path: Path) -> None:
    """With --out there is a picture of the confusion matrix and, where asked for, of the corruptions."""
    arguments = ["evaluate", "--weights", str(toy_teacher), "--data", str(small_csv), "--out", str(tmp_path)]
    assert main([*arguments, "--corruptions", "--mirror"]) == 0
    row = json.loads((tmp_path / "evaluation.json").read_text())["candidates"][0]
    assert row["name"].endswith(", mirror averaged")
    assert set(row["corruptions"]) == set(corruptions.KINDS)
    assert all(len(cells) == 5 and all(0 <= value <= 1 for value in cells) for cells in row["corruptions"].values())
    low, high = row["intervals_95"]["accuracy"]
    assert low <= row["accuracy"] <= high
    assert np.array(row["confusion"]).sum() == row["n"] == 84
    pictures = sorted(tmp_path.glob("*.png"))
    assert [path.name.split("-")[0] for path in pictures] == ["confusion", "corruptions"]
    assert all(cv2.imread(str(path)).shape[1] > 500 for path in pictures)
    assert list(tmp_path.glob("*.partial")) == []


def test_mirror_averaging_is_that() -> None:
    """The mean over the face and its mirror image, no more and no less, and named."""
    faces = selftest.faces(0, 3)

    def left_side(images: np.ndarray) -> np.ndarray:
        return np.repeat(images[:, :, :24].mean(axis=(1, 2))[:, None], 7, axis=1).astype(np.float32)

    candidate = mirrored(Candidate(name="left", predict=left_side))
    np.testing.assert_allclose(candidate.predict(faces)[:, 0], faces.mean(axis=(1, 2)), rtol=1e-5)
    assert candidate.name == "left, mirror averaged"


def test_a_candidate_that_knows_all_is_right(small_csv: Path) -> None:
    """An oracle has accuracy 1 and no calibration error, and on corrupted faces its answers do not depend on them."""
    faces = read_faces(small_csv, "PublicTest")
    oracle = Candidate(name="oracle", predict=lambda _: np.eye(7, dtype=np.float32)[faces.labels])
    report = measure(oracle, faces, np.zeros(len(faces), np.bool_), EvaluateOptions(corruptions=True))
    assert report["accuracy"] == report["accuracy_without_them"] == 1
    assert report["ece"] == pytest.approx(0, abs=1e-6)
    assert all(value == 1 for cells in report["corruptions"].values() for value in cells)


def test_an_emotion_without_a_face_has_no_figures(small_csv: Path) -> None:
    """It is not named wrongly at all: a nought would say so, and macro figures tell over what they are."""
    faces = read_faces(small_csv, "PublicTest")
    happy = faces.labels == EMOTIONS.index("happy")
    some = dataclasses.replace(faces, images=faces.images[happy], labels=faces.labels[happy])
    oracle = Candidate(name="oracle", predict=lambda images: np.eye(7, dtype=np.float32)[np.full(len(images), 3)])
    text = describe(measure(oracle, some, np.zeros(len(some), np.bool_), EvaluateOptions()))
    assert "of 6 emotions there is no face" in text
    assert [line.split()[1:] for line in text.splitlines() if line.split()[0] == "sad"] == [["0", "–", "–", "–"]]
    assert "of 6 emotions" not in describe(measure(oracle, faces, np.zeros(len(faces), np.bool_), EvaluateOptions()))


def test_faces_that_were_learnt_are_told_apart(small_csv: Path, tmp_path: Path) -> None:
    """Who knows the Training faces alone is right on those that are among the test faces, and on no other."""
    faces, training = read_faces(small_csv, "PublicTest"), read_faces(small_csv, "Training")
    assert not also_in_training(faces, small_csv).any()
    mixed = dataclasses.replace(
        faces,
        images=np.concatenate([training.images[:20], faces.images]),
        labels=np.concatenate([training.labels[:20], faces.labels]),
    )
    seen = also_in_training(mixed, small_csv)
    assert seen.tolist() == [True] * 20 + [False] * len(faces)
    answers = np.eye(7, dtype=np.float32)[np.where(seen, mixed.labels, (mixed.labels + 1) % 7)]
    report = measure(Candidate(name="learnt by heart", predict=lambda _: answers), mixed, seen, EvaluateOptions())
    assert report["accuracy"] == pytest.approx(20 / len(mixed))
    assert (report["also_in_training"], report["accuracy_without_them"]) == (20, 0.0)
    assert "0.0% without the 20 faces that are pixel for pixel in Training" in describe(report)
    for emotion in EMOTIONS:  # pictures of one's own, with no train/ beside test/
        (tmp_path / "test" / emotion).mkdir(parents=True)
    assert not also_in_training(faces, tmp_path).any()


@pytest.mark.parametrize("kind", corruptions.KINDS)
def test_corruptions_are_seeded_and_grow(kind: str) -> None:
    """A cell of the suite is a pure function of its seed, does no harm to the input, and harms more when severer."""
    rows, columns = np.mgrid[0:48, 0:48]
    smooth = 128 + 60 * np.sin(rows / 5) * np.cos(columns / 7)
    faces = np.stack([np.roll(smooth, i, axis=1) for i in range(24)]).astype(np.uint8)
    before = faces.copy()
    harm = []
    for severity in corruptions.SEVERITIES:
        bad = corruptions.corrupt(faces, kind, severity, seed=3)
        assert (bad.shape, bad.dtype) == (faces.shape, np.uint8)
        np.testing.assert_array_equal(bad, corruptions.corrupt(faces, kind, severity, seed=3))
        harm.append(float(((bad.astype(float) - faces) ** 2).mean()))
    assert harm[0] > 0
    assert harm == sorted(harm)
    np.testing.assert_array_equal(faces, before)


def test_blurs_keep_a_flat_face_flat() -> None:
    """Blur kernels sum to one and repeat the border, so an even picture stays as it is."""
    flat = np.full((2, 48, 48), 100, np.uint8)
    for kind in ("defocus blur", "motion blur"):
        np.testing.assert_array_equal(corruptions.corrupt(flat, kind, 5), flat)


def test_weights_without_torch_name_the_extra(monkeypatch: pytest.MonkeyPatch, toy_teacher: Path) -> None:
    """On a device, which has no torch, --weights says what is missing."""
    monkeypatch.setitem(sys.modules, "distill.networks", None)
    with pytest.raises(NotInstalledError, match="from a checkout"):
        list(of_weights([toy_teacher], 1))


def test_bad_options_are_refused(tmp_path: Path, small_csv: Path) -> None:
    """No thread, a seed that draws nothing, and a folder without weights or bundle, end in one error each."""
    with pytest.raises(UsageError, match="--threads"):
        EvaluateOptions(threads=0)
    with pytest.raises(UsageError, match="--seed"):
        EvaluateOptions(seed=-1)
    for nothing in (tmp_path, tmp_path / "none"):
        for final in ([], ["--final"]):
            assert main(["evaluate", "--weights", str(nothing), "--data", str(small_csv), *final]) == 6
            assert main(["evaluate", "--bundle", str(nothing), "--data", str(small_csv), *final]) == 3


def test_no_engine_is_no_result(
    toy_bundle: Path, small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no engine is installed the command ends with 4, and what an earlier one has written stays."""
    out = tmp_path / "out"
    assert main(["evaluate", "--bundle", str(toy_bundle), "--data", str(small_csv), "--out", str(out)]) == 0
    written = (out / "evaluation.json").read_bytes()
    monkeypatch.setattr(candidates, "installed_engines", tuple)
    assert main(["evaluate", "--bundle", str(toy_bundle), "--data", str(small_csv), "--out", str(out)]) == 4
    assert (out / "evaluation.json").read_bytes() == written


@pytest.mark.parametrize("final", [False, True])
def test_an_interrupted_evaluation_keeps_what_it_has_shown(
    toy_bundle: Path,
    small_csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    final: bool,
) -> None:
    """What was printed is in evaluation.json; of PrivateTest nothing is printed before it is in the card."""
    bundle, out, measured = tmp_path / "bundle", tmp_path / "out", accuracy.measure
    shutil.copytree(toy_bundle, bundle)
    card, done = (bundle / "model.json").read_bytes(), []

    def once(*arguments: Any) -> dict[str, Any]:
        if done:
            raise KeyboardInterrupt
        done.append(measured(*arguments))
        return done[0]

    monkeypatch.setattr(accuracy, "measure", once)
    command = ["evaluate", "--bundle", str(bundle), "--data", str(small_csv), "--out", str(out)]
    assert main([*command, *["--final"] * final]) == 130
    assert (bundle / "model.json").read_bytes() == card
    printed = capsys.readouterr().out
    if final:
        assert "accuracy" not in printed
        assert not (out / "evaluation.json").exists()
    else:
        shown = json.loads((out / "evaluation.json").read_text())["candidates"]
        assert [each["name"] for each in shown] == [done[0]["name"]]
        assert f"{done[0]['name']}: accuracy" in printed


def test_private_test_is_written_once(
    toy_bundle: Path, toy_teacher: Path, small_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--final reads PrivateTest into a bundle's card, and into that of weights; a second time is refused."""
    bundle, weights = tmp_path / "bundle", tmp_path / "weights"
    shutil.copytree(toy_bundle, bundle)
    shutil.copytree(toy_teacher, weights)
    for name, folder, card in (("--bundle", bundle, "model.json"), ("--weights", weights, "weights.json")):
        assert main(["evaluate", name, str(folder), "--data", str(small_csv), "--final"]) == 0
        assert "PrivateTest: 84 faces" in capsys.readouterr().out
        written = (folder / card).read_bytes()
        assert main(["evaluate", name, str(folder), "--data", str(small_csv), "--final"]) == 2
        assert "expected no PrivateTest in its card, got one" in capsys.readouterr().err
        assert (folder / card).read_bytes() == written
    private = read_faces(small_csv, "PrivateTest")
    for artefact in read_card(bundle).artefacts:
        assert artefact.metrics["PrivateTest"].n == 84
        assert set(artefact.metrics) == {"PublicTest", "PrivateTest"}
    predicted = next(of_weights([weights], 1)).predict(private.images).argmax(axis=1)
    stored = json.loads((weights / "weights.json").read_text())["private_test"]
    assert stored["accuracy"] == pytest.approx((predicted == private.labels).mean())


@pytest.mark.parametrize("other", ["--mirror", "--corruptions"])
def test_private_test_has_one_way_of_measuring(other: str) -> None:
    """Averaging over mirror images, or corrupting, is refused together with --final."""
    assert main(["evaluate", "--final", other]) == 2
