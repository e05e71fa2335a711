"""The commands that make evidence about the full model: figures and baselines."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge_runtime.cli import main
from edge_runtime.emotions import selftest
from train.baselines import hog_features, lbp_features
from train.config import ModelConfig, TrainConfig
from train.figures import attention_maps, disturbances
from train.loop import train
from train.model import FullModel


def test_figures_of_a_trained_model(toy_teacher: Path, small_csv: Path, tmp_path: Path) -> None:
    """Both pictures are written, and the numbers behind them are in range."""
    arguments = ["figures", "--weights", str(toy_teacher), "--data", str(small_csv), "--out", str(tmp_path)]
    assert main(arguments) == 0
    found = json.loads((tmp_path / "figures.json").read_text())
    assert {"noise", "JPEG", "light", "blur", "all four", "clean"} == set(found["restored"])
    noise = found["restored"]["noise"]
    assert 15 < noise["psnr_disturbed"] < 30
    assert 0 < noise["ssim_disturbed"] < 1
    assert noise["moved_disturbed"] > 0
    shares = found["attention"]
    assert shares["area"]["eyes"] == pytest.approx(33 * 11 / 48**2)
    assert all(0 < share < 1 for emotion in shares.values() for share in emotion.values())
    for name in ("restored.png", "attention.png"):
        assert cv2.imread(str(tmp_path / name)).shape[1] > 700


def test_figures_need_both_parts(tmp_path: Path, small_csv: Path) -> None:
    """A model without attention cannot show where it looks, and says so."""
    shape = ModelConfig(widths=(8, 8), blocks=(1, 1), context="none", attention=False, autoencoder_width=8)
    train(TrainConfig(data=small_csv, out=tmp_path, epochs=1, batch=84, precision="fp32", model=shape))
    assert main(["figures", "--weights", str(tmp_path), "--data", str(small_csv), "--out", str(tmp_path / "o")]) == 2


def test_attention_maps_show_the_weights_where_they_are() -> None:
    """A map sums to one, and is brightest in the ninth of the face whose position weighs most."""
    model = FullModel(ModelConfig(widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1), context_width=8)).eval()
    model.attention.weights = lambda _: torch.eye(9)[torch.tensor([0, 5])]
    maps = attention_maps(model, selftest.faces(0, 2))
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, rtol=1e-5)
    row, column = np.unravel_index(maps[0].argmax(), (48, 48))
    assert max(row, column) < 16
    row, column = np.unravel_index(maps[1].argmax(), (48, 48))
    assert 16 <= row < 32 <= column


def test_disturbances_are_seeded_and_disturb() -> None:
    """Each kind changes the faces, in the same way for the same seed."""
    faces = torch.from_numpy(selftest.faces(0, 4)).unsqueeze(1) / 255
    first, again = disturbances(faces, 1), disturbances(faces, 1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(not torch.equal(bad, faces) and 0 <= bad.min() <= bad.max() <= 1 for bad in first.values())


def test_hand_made_features() -> None:
    """Their lengths are those of the formulas, and a relit face has nearly the same ones."""
    faces = (selftest.faces(0, 3) // 2).astype(np.uint8)
    assert hog_features(faces).shape == (3, 5 * 5 * 4 * 8)
    lbp = lbp_features(faces)
    assert lbp.shape == (3, 36 * 59)
    np.testing.assert_allclose((lbp**2).sum(axis=1), 48 * 48, rtol=1e-5)
    # patterns compare neighbours, whose interpolation rounds a little differently on other grey levels
    assert (lbp_features(faces + 40) != lbp).mean() < 0.01


def test_baselines_beat_chance(small_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All six systems are fitted, scored and written."""
    assert main(["baselines", "--data", str(small_csv), "--out", str(tmp_path)]) == 0
    systems = json.loads((tmp_path / "baselines.json").read_text())["systems"]
    assert len(systems) == 6
    assert max(system["accuracy"] for system in systems.values()) > 0.5
    assert "HOG + RBF SVM" in capsys.readouterr().out
