"""What the teachers say of each view: a table, computed once, of all of it or as far as it came."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from distill import views
from distill.config import DistillConfig
from distill.networks import load_network
from distill.views import teacher_targets
from edge_runtime.emotions.normalise import MEAN, STD
from edge_runtime.errors import DataError
from edge_runtime.scoring.datasets import read_faces
from train.augment import Augmentation, apply_view, draw_view


@pytest.fixture
def options(toy_teacher: Path, small_csv: Path, tmp_path: Path) -> DistillConfig:
    """Return a distillation of two views."""
    return DistillConfig(data=small_csv, out=tmp_path, teachers=(toy_teacher,), views=2, precision="fp32")


def test_targets_are_the_teachers_mean_on_the_very_view(
    options: DistillConfig, toy_teacher: Path, small_csv: Path
) -> None:
    """The table holds the softened mean of the teachers for the view that its number and the seed draw."""
    faces = read_faces(small_csv, "Training")
    teachers = [load_network(toy_teacher, "model"), load_network(toy_teacher, "model")]
    with torch.no_grad():
        teachers[1].classify[1].bias += torch.arange(7.0) / 7
    targets = teacher_targets(list(teachers), faces, options)
    assert targets.shape == (2, len(faces), 7)
    view = apply_view(torch.from_numpy(faces.images), draw_view(len(faces), 0, 1, Augmentation()))
    with torch.inference_mode():
        faces_in = (view - MEAN) / STD
        said = [torch.softmax(t(side) / 2, dim=1) for t in teachers for side in (faces_in, faces_in.flip(-1))]
        mean = torch.stack(said).mean(0)
    assert torch.allclose(targets[1].float(), mean, atol=2e-3)


def test_targets_are_computed_once(options: DistillConfig, toy_teacher: Path, small_csv: Path) -> None:
    """A second run that shares the folder reads the table; another teacher has its own beside it."""
    faces = read_faces(small_csv, "Training")
    teacher = load_network(toy_teacher, "model")
    shared = dataclasses.replace(options, targets=options.out / "tables")
    first = teacher_targets([teacher], faces, shared)
    (table,) = shared.targets.iterdir()
    stored = table.stat().st_mtime_ns
    assert torch.equal(teacher_targets([teacher], faces, dataclasses.replace(shared, learning_rate=0.1)), first)
    assert table.stat().st_mtime_ns == stored
    with torch.no_grad():
        teacher.classify[1].bias += torch.arange(7.0)
    assert not torch.equal(teacher_targets([teacher], faces, shared), first)
    assert len([*shared.targets.iterdir()]) == 2


def test_labelling_that_was_interrupted_goes_on(
    options: DistillConfig, toy_teacher: Path, small_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes hours on a CPU: the views that were done are kept, the others are computed, and all are the same."""
    faces, teacher = read_faces(small_csv, "Training"), load_network(toy_teacher, "model")
    whole = teacher_targets([teacher], faces, dataclasses.replace(options, targets=options.out / "elsewhere"))
    drawn: list[int] = []

    def draw(n: int, seed: int, view: int, changes: Augmentation) -> torch.Tensor:
        if view == 1 and not drawn.count(1):
            drawn.append(view)
            raise KeyboardInterrupt
        drawn.append(view)
        return draw_view(n, seed, view, changes)

    monkeypatch.setattr(views, "draw_view", draw)
    with pytest.raises(KeyboardInterrupt):
        teacher_targets([teacher], faces, options)
    assert torch.equal(teacher_targets([teacher], faces, options), whole)
    assert drawn == [0, 1, 1]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"no table", b"PK\x03\x04", np.zeros(3)])
def test_a_damaged_table_is_one_error(
    options: DistillConfig, toy_teacher: Path, small_csv: Path, content: bytes | np.ndarray
) -> None:
    """A table that is cut short, of something else, or of another shape is named, and not learnt from."""
    faces, teacher = read_faces(small_csv, "Training"), load_network(toy_teacher, "model")
    teacher_targets([teacher], faces, options)
    (table,) = options.out.glob("targets-*.npy")
    if isinstance(content, bytes):
        table.write_bytes(content)
    else:
        np.save(table, content)
    with pytest.raises(DataError, match="delete it: it is computed anew"):
        teacher_targets([teacher], faces, options)


def test_label_smoothing_is_taken_back() -> None:
    """Probabilities mixed with an equal share of each emotion come out as they were; none is less than a thousandth."""
    random = torch.Generator().manual_seed(0)
    before = torch.softmax(2 * torch.randn(2, 5, 7, generator=random), -1).clamp(min=0.01)
    before /= before.sum(-1, keepdim=True)
    said = 0.9 * before + 0.1 / 7
    after = views.unsmoothed(torch.softmax(said.log() / 2, -1).half(), 0.1, 2)
    assert after.dtype == torch.float16
    assert torch.allclose(after.float(), torch.softmax(before.log() / 2, -1), atol=2e-3)
    sure = views.unsmoothed(torch.eye(7).half()[None], 0.1, 1)
    assert torch.allclose(sure[0].diagonal().float(), torch.tensor(0.9857 / (0.9857 + 6e-3)), atol=1e-3)
    assert sure.min() > 0
