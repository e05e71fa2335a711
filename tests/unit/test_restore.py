"""The autoencoder alone: it learns to undo corruptions, and a run that goes on does not begin with it again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from edge_runtime.scoring.datasets import read_faces
from train import loop
from train.config import ModelConfig, TrainConfig
from train.corruptions import corrupt
from train.model import Autoencoder
from train.parallel import Team
from train.restore import learn_to_restore

SHAPE = ModelConfig(widths=(8, 8), blocks=(1, 1), context_width=8, autoencoder_width=8)


def options(data: Path, out: Path, **others: int) -> TrainConfig:
    """Return a run of a second."""
    return TrainConfig(data=data, out=out, batch=24, precision="fp32", model=SHAPE, **others)


def test_it_undoes_what_it_was_taught_to(small_csv: Path, tmp_path: Path) -> None:
    """Corrupted faces of PublicTest come out nearer to the clean ones than they went in; a seed decides the weights."""
    torch.manual_seed(0)
    taught, again = Autoencoder(8), Autoencoder(8)
    again.load_state_dict(taught.state_dict())
    run = options(small_csv, tmp_path, restore_epochs=40)
    error = learn_to_restore(taught, read_faces(small_csv, "Training"), run, Team())
    clean = torch.from_numpy(read_faces(small_csv, "PublicTest").images).unsqueeze(1) / 255
    seen = corrupt(clean, torch.Generator().manual_seed(5))
    with torch.inference_mode():
        left = F.mse_loss(taught.eval()(seen), clean)
    assert left < 0.8 * F.mse_loss(seen, clean)
    assert 0 < error < 2 * left
    assert learn_to_restore(again, read_faces(small_csv, "Training"), run, Team()) == error


def test_a_run_that_goes_on_does_not_restore_again(
    small_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The words come in the first sitting alone, and not where the phase or the autoencoder is left out."""
    words = "mean squared error"
    loop.train(options(small_csv, tmp_path / "run", restore_epochs=1, epochs=1))
    assert words in capsys.readouterr().out
    loop.train(options(small_csv, tmp_path / "run", restore_epochs=1, epochs=2))
    assert words not in capsys.readouterr().out
    loop.train(options(small_csv, tmp_path / "other", restore_epochs=0, epochs=1))
    assert words not in capsys.readouterr().out
