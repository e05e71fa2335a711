"""The autoencoder alone: it learns to undo corruptions, and a run that goes on does not begin with it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from distill.networks import load_network
from edge_runtime.scoring.datasets import read_faces
from train import loop
from train.config import ModelConfig, TrainConfig
from train.corruptions import corrupt
from train.model import Autoencoder
from train.parallel import Team
from train.restore import learn_to_restore

SHAPE = ModelConfig(widths=(8, 8), blocks=(1, 1), context_width=8, autoencoder_width=8)


def options(data: Path, out: Path, **others: Any) -> TrainConfig:
    """Return a run of a second."""
    return TrainConfig(data=data, out=out, batch=24, precision="fp32", model=SHAPE, **others)


def test_it_undoes_what_it_was_taught_to(small_csv: Path, tmp_path: Path) -> None:
    """Corrupted faces of PublicTest come out nearer to the clean ones than they went in, which stay; seeded."""
    torch.manual_seed(0)
    taught, again = Autoencoder(8), Autoencoder(8)
    again.load_state_dict(taught.state_dict())
    run = options(small_csv, tmp_path)
    left = learn_to_restore(taught, read_faces(small_csv, "Training"), 40, run, Team())
    clean = torch.from_numpy(read_faces(small_csv, "PublicTest").images).unsqueeze(1) / 255
    seen = corrupt(clean, torch.Generator().manual_seed(5))
    with torch.inference_mode():
        error = F.mse_loss(taught(seen), clean)
        lost = F.mse_loss(taught(clean), clean)
    assert error < 0.8 * F.mse_loss(seen, clean)
    assert lost < 0.1 * error
    assert 0 < left < 0.9
    assert learn_to_restore(again, read_faces(small_csv, "Training"), 40, run, Team()) == left
    assert not any(weight.requires_grad for weight in taught.parameters())


def test_it_comes_first_and_once_and_stays(small_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rest of a run leaves it as it is; neither a second sitting nor a warm restart teaches it again."""
    words, first = "the autoencoder leaves", tmp_path / "first"
    loop.train(options(small_csv, first, restore_epochs=1, epochs=1))
    assert words in capsys.readouterr().out
    before = load_network(first).autoencoder.state_dict()
    loop.train(options(small_csv, first, restore_epochs=1, epochs=2))
    loop.train(options(small_csv, tmp_path / "restarted", start_from=(first,), epochs=1))
    loop.train(options(small_csv, tmp_path / "without", restore_epochs=0, epochs=1))
    assert words not in capsys.readouterr().out
    for folder in (first, tmp_path / "restarted"):
        for name, value in load_network(folder).autoencoder.state_dict().items():
            assert torch.equal(value, before[name]), name
