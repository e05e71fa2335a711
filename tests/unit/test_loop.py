"""The training loop: resumes exactly, refuses to go on from nonsense, keeps the last good checkpoint."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edge_runtime.errors import DataError, UsageError
from edge_runtime.scoring.datasets import FaceSet, read_faces
from train import loop
from train.config import ModelConfig, TrainConfig
from train.loop import fit, schedule
from train.model import FullModel
from train.objective import EmotionObjective

SHAPE = ModelConfig(widths=(8, 8, 16), blocks=(1, 1, 1), lstm_hidden=8, autoencoder_width=8)


def config(out: Path, data: Path, epochs: int) -> TrainConfig:
    """Return a run of a few seconds."""
    return TrainConfig(data=data, out=out, epochs=epochs, batch=24, precision="fp32", model=SHAPE)


def run(options: TrainConfig, faces: FaceSet, stop_after: int | None = None) -> nn.Module:
    """Train as ``train`` does; leave by an error after ``stop_after`` epochs, as a crash would."""
    torch.manual_seed(options.seed)
    objective = EmotionObjective(faces, options)
    begin = objective.begin_epoch

    def crash(epoch: int) -> None:
        if epoch == stop_after:
            raise InterruptedError
        begin(epoch)

    objective.begin_epoch = crash  # type: ignore[method-assign]
    averaged, _ = fit(FullModel(options.model), objective, read_faces(options.data, "PublicTest"), len(faces), options)
    return averaged


def test_a_run_that_crashed_goes_on_as_if_nothing_had_happened(small_csv: Path, tmp_path: Path) -> None:
    """Three epochs, and two then a crash and one more, end in the same weights to the last bit."""
    faces = read_faces(small_csv, "Training")
    (tmp_path / "whole").mkdir()
    (tmp_path / "crashed").mkdir()
    whole = run(config(tmp_path / "whole", small_csv, 3), faces)
    with pytest.raises(InterruptedError):
        run(config(tmp_path / "crashed", small_csv, 3), faces, stop_after=2)
    resumed = run(config(tmp_path / "crashed", small_csv, 3), faces)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    log = [json.loads(line)["epoch"] for line in (tmp_path / "crashed" / "log.jsonl").read_text().splitlines()]
    assert log == [1, 2, 3]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(small_csv: Path, tmp_path: Path) -> None:
    """The error names epoch, step and learning rate, and the checkpoint of the epoch before is whole."""
    faces = read_faces(small_csv, "Training")
    run(config(tmp_path, small_csv, 1), faces)
    kept = (tmp_path / "checkpoint.pt").read_bytes()

    class Exploding(EmotionObjective):
        def __call__(self, model: nn.Module, index: Tensor) -> dict[str, Tensor]:
            return {name: value * float("nan") for name, value in super().__call__(model, index).items()}

    options = config(tmp_path, small_csv, 2)
    with pytest.raises(DataError, match=r"epoch 2, step 0, learning rate .* expected finite"):
        fit(FullModel(SHAPE), Exploding(faces, options), read_faces(small_csv, "PublicTest"), len(faces), options)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_a_checkpoint_of_another_network_is_refused(small_csv: Path, tmp_path: Path) -> None:
    """Going on with other widths ends in one error, and the checkpoint stays."""
    faces = read_faces(small_csv, "Training")
    run(config(tmp_path, small_csv, 1), faces)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    wider = dataclasses.replace(config(tmp_path, small_csv, 2), model=dataclasses.replace(SHAPE, widths=(8, 8, 24)))
    with pytest.raises(DataError, match="of another network: expected weights of this FullModel"):
        run(wider, faces)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_fewer_epochs_than_done_and_a_batch_too_large_are_refused(small_csv: Path, tmp_path: Path) -> None:
    """A run that is longer already, and a batch that Training cannot fill, end in one error each."""
    faces = read_faces(small_csv, "Training")
    run(config(tmp_path, small_csv, 2), faces)
    with pytest.raises(UsageError, match="at least the 2 that are done, got 1"):
        run(config(tmp_path, small_csv, 1), faces)
    with pytest.raises(DataError, match="at least a batch of 1000, got 168"):
        run(dataclasses.replace(config(tmp_path, small_csv, 2), batch=1000), faces)


def test_the_schedule_warms_up_and_falls_to_zero() -> None:
    """It rises through the first epoch, peaks at 1 after it, and ends at zero."""
    assert schedule(0, 10) == pytest.approx(0.01)
    assert schedule(0.5, 10) == pytest.approx(0.5)
    assert schedule(1, 10) == pytest.approx(1)
    assert schedule(5.5, 10) == pytest.approx(0.5)
    assert schedule(10, 10) == pytest.approx(0, abs=1e-9)
    assert schedule(1, 1) == pytest.approx(1)


def test_class_weights_lift_rare_emotions(small_csv: Path, tmp_path: Path) -> None:
    """A rarer emotion weighs more, by the power asked for."""
    faces = read_faces(small_csv, "Training")
    keep = (faces.labels != 1) | (faces.labels.cumsum() % 2 == 0)
    uneven = FaceSet(images=faces.images[keep], labels=faces.labels[keep], split="Training", sha256=faces.sha256)
    weights = EmotionObjective(uneven, config(tmp_path, small_csv, 1)).class_weights
    counts = torch.bincount(torch.from_numpy(uneven.labels))
    assert weights[1] / weights[0] == pytest.approx(float(counts[0] / counts[1]) ** 0.25, rel=1e-4)


def test_train_leaves_weights_log_and_configuration(toy_teacher: Path) -> None:
    """A finished run leaves what distillation and people need, and nothing half-written."""
    names = {path.name for path in toy_teacher.iterdir()}
    assert names == {"checkpoint.pt", "config.json", "log.jsonl", "weights.json", "weights.safetensors"}
    assert json.loads((toy_teacher / "weights.json").read_text())["config"]["model"]["widths"] == [8, 8, 16]


def test_values_out_of_range_are_refused(small_csv: Path, tmp_path: Path) -> None:
    """Each refused value names its flag."""
    for name, value in (
        ("epochs", 0),
        ("batch", 1),
        ("ema_decay", 1.0),
        ("learning_rate", 0.0),
        ("corrupt_share", 1.0),
    ):
        with pytest.raises(UsageError, match="--" + name.replace("_", "-")):
            TrainConfig(data=small_csv, out=tmp_path, **{name: value})


def test_no_data_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without --data and without FER_EDGE_DATA the error names both."""
    monkeypatch.delenv("FER_EDGE_DATA", raising=False)
    with pytest.raises(UsageError, match="--data FILE or FER_EDGE_DATA"):
        loop.train(TrainConfig(out=tmp_path))
