"""The training loop: resumes exactly, refuses to go on from nonsense, keeps the last good checkpoint."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from torch import Tensor, nn

from edge_runtime.errors import DataError, UsageError
from edge_runtime.scoring.datasets import FaceSet, read_faces
from train import loop
from train.checkpoint import load_checkpoint, load_weights
from train.config import ModelConfig, TrainConfig
from train.loop import fit, macs, make_optimiser, schedule
from train.model import Backbone, BiLSTM, FullModel
from train.objective import EmotionObjective
from train.parallel import Team

SHAPE = ModelConfig(widths=(8, 8, 16), blocks=(1, 1, 1), context_width=16, autoencoder_width=8)


def config(out: Path, data: Path, epochs: int, **others: Any) -> TrainConfig:
    """Return a run of a few seconds."""
    options = {"batch": 24, "precision": "fp32", "learning_rate": 1e-3, "model": SHAPE}
    return TrainConfig(data=data, out=out, epochs=epochs, **{**options, **others})


def run(options: TrainConfig, faces: FaceSet, kind: type[EmotionObjective] = EmotionObjective) -> nn.Module:
    """Train as ``train`` does."""
    torch.manual_seed(options.seed)
    objective = kind(FullModel(options.model), faces, options)
    return fit(objective, faces, read_faces(options.data, "PublicTest"), options, Team())


class Crashing(EmotionObjective):
    """Fails when the third epoch begins, as a power cut would."""

    def begin_epoch(self, epoch: int, rank: int) -> None:
        """Crash, or go on."""
        if epoch == 2:
            raise InterruptedError
        super().begin_epoch(epoch, rank)


class Exploding(EmotionObjective):
    """Has a loss that is not a number."""

    def forward(self, index: Tensor) -> dict[str, Tensor]:
        """Spoil every part."""
        return {name: value * float("nan") for name, value in super().forward(index).items()}


class Overflowing(EmotionObjective):
    """Has a finite loss whose gradient is not."""

    def forward(self, index: Tensor) -> dict[str, Tensor]:
        """Add nothing, with an infinite slope."""
        weight = self.model.classify[1].weight
        return {**super().forward(index), "slope": ((weight - weight.detach()).abs().sqrt()).sum()}


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_run_that_crashed_goes_on_as_if_nothing_had_happened(small_csv: Path, tmp_path: Path, optimiser: str) -> None:
    """Three epochs, and two then a crash and one more, end in the same weights to the last bit and the same curves."""
    faces = read_faces(small_csv, "Training")
    others = {"optimiser": optimiser, "mixup_share": 0.4, "cutmix_share": 0.4}
    (tmp_path / "whole").mkdir()
    (tmp_path / "crashed").mkdir()
    whole = run(config(tmp_path / "whole", small_csv, 3, **others), faces)
    with pytest.raises(InterruptedError):
        run(config(tmp_path / "crashed", small_csv, 3, **others), faces, Crashing)
    resumed = run(config(tmp_path / "crashed", small_csv, 3, **others), faces)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    curves = []
    for name in ("whole", "crashed"):
        with (tmp_path / name / "curves.csv").open(newline="") as file:
            curves.append([{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)])
        assert cv2.imread(str(tmp_path / name / "curves.png")) is not None
    assert [row["epoch"] for row in curves[0]] == ["1", "2", "3"]
    assert [{k: float(v) for k, v in row.items()} for row in curves[0]] == [
        {k: float(v) for k, v in row.items()} for row in curves[1]
    ]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(small_csv: Path, tmp_path: Path) -> None:
    """The error names epoch, step and learning rate, and the checkpoint of the epoch before is whole."""
    faces = read_faces(small_csv, "Training")
    run(config(tmp_path, small_csv, 1), faces)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(DataError, match=r"epoch 2, step 0, learning rate .* expected finite"):
        run(config(tmp_path, small_csv, 2), faces, Exploding)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_weights_that_are_not_finite_are_not_kept(small_csv: Path, tmp_path: Path) -> None:
    """A gradient can overflow where the loss does not: the checkpoint from before stays."""
    faces = read_faces(small_csv, "Training")
    run(config(tmp_path, small_csv, 1), faces)
    with pytest.raises(DataError, match="weights after epoch 2: expected finite"):
        run(config(tmp_path, small_csv, 2, batch=168), faces, Overflowing)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["epochs_done"] == 1


def test_a_checkpoint_of_another_network_is_refused(small_csv: Path, tmp_path: Path) -> None:
    """Going on with other widths ends in one error, and the checkpoint stays."""
    faces = read_faces(small_csv, "Training")
    run(config(tmp_path, small_csv, 1), faces)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    wider = dataclasses.replace(SHAPE, widths=(8, 8, 24))
    with pytest.raises(DataError, match="of another network"):
        run(config(tmp_path, small_csv, 2, model=wider), faces)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_a_checkpoint_of_other_data_is_refused(small_csv: Path, tmp_path: Path) -> None:
    """Going on with other faces ends in one error."""
    faces = read_faces(small_csv, "Training")
    run(config(tmp_path, small_csv, 1), faces)
    with pytest.raises(DataError, match="is of other data"):
        run(config(tmp_path, small_csv, 2), dataclasses.replace(faces, sha256="0" * 64))


def test_a_checkpoint_of_other_votes_is_refused(small_csv: Path, tmp_path: Path) -> None:
    """The second head would go on with another opinion of the same faces; options that were refused are not kept."""
    faces, options = read_faces(small_csv, "Training"), config(tmp_path, small_csv, 2, ferplus_weight=0.5)
    votes = torch.rand(len(faces), 8)

    def go_on(options: TrainConfig, votes: torch.Tensor) -> None:
        fit(EmotionObjective(FullModel(SHAPE), faces, options, votes), faces, faces, options, Team())

    go_on(options, votes)
    kept = (tmp_path / "config.json").read_text()
    with pytest.raises(DataError, match="is of other data"):
        go_on(dataclasses.replace(options, epochs=3), votes.flip(0))
    assert (tmp_path / "config.json").read_text() == kept
    go_on(dataclasses.replace(options, epochs=3), votes)


def test_most_epochs_show_a_cut_and_the_last_quarter_whole_faces(small_csv: Path, tmp_path: Path) -> None:
    """With --crop 32 six epochs of eight; a transformer, which knows the positions of a whole face, is refused."""
    faces = read_faces(small_csv, "Training")
    objective = EmotionObjective(FullModel(SHAPE), faces, config(tmp_path, small_csv, 8, crop=32))
    sides = []
    for epoch in range(8):
        objective.begin_epoch(epoch, 0)
        sides.append(objective.see(torch.arange(4)).shape[-1])
    assert sides == [32] * 6 + [48] * 2
    with pytest.raises(UsageError, match="--crop is out of range: expected 48: a transformer"):
        config(tmp_path, small_csv, 8, crop=32, model=dataclasses.replace(SHAPE, context="transformer"))


def test_a_run_goes_on_only_with_its_own_options(small_csv: Path, tmp_path: Path) -> None:
    """More epochs are welcome; another learning rate or an unknown key in the saved options is refused, and named."""
    loop.train(config(tmp_path, small_csv, 1))
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(UsageError, match=r"expected the same options, got learning_rate 0\.002 instead of 0\.001"):
        loop.train(config(tmp_path, small_csv, 2, learning_rate=0.002))
    assert (tmp_path / "config.json").read_text() == before
    (tmp_path / "config.json").write_text(json.dumps({**json.loads(before), "colour": "green"}))
    with pytest.raises(UsageError, match="colour None instead of green"):
        loop.train(config(tmp_path, small_csv, 2))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"config\.json cannot be read"):
        loop.train(config(tmp_path, small_csv, 2))
    other = dataclasses.replace(SHAPE, dropout=0.5)
    (tmp_path / "config.json").write_text(before)
    with pytest.raises(UsageError, match=r"got model\.dropout 0\.5 instead of 0\.\d+\. Next"):
        loop.train(config(tmp_path, small_csv, 2, model=other))
    older = {name: value for name, value in json.loads(before).items() if name != "crop"}  # before there was one
    older["model"].pop("attention")
    (tmp_path / "config.json").write_text(json.dumps(older))
    loop.train(config(tmp_path, small_csv, 2, threads=1))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["epochs_done"] == 2


def test_fewer_epochs_than_done_and_a_batch_too_large_are_refused(small_csv: Path, tmp_path: Path) -> None:
    """A run that is longer already, and a batch that Training cannot fill, end in one error each."""
    faces = read_faces(small_csv, "Training")
    run(config(tmp_path, small_csv, 2), faces)
    with pytest.raises(UsageError, match="at least the 2 that are done, got 1"):
        run(config(tmp_path, small_csv, 1), faces)
    with pytest.raises(DataError, match="at least a batch of 1000, got 168"):
        loop.train(config(tmp_path / "other", small_csv, 2, batch=1000))


def test_the_schedule_warms_up_and_falls_to_zero(tmp_path: Path) -> None:
    """It rises through the warm-up, peaks at 1 after it, and ends at zero."""
    options = TrainConfig(out=tmp_path, epochs=10)
    assert schedule(0, options) == pytest.approx(0.01)
    assert schedule(0.5, options) == pytest.approx(0.5)
    assert schedule(1, options) == pytest.approx(1)
    assert schedule(5.5, options) == pytest.approx(0.5)
    assert schedule(10, options) == pytest.approx(0, abs=1e-9)
    assert schedule(1, TrainConfig(out=tmp_path, epochs=1)) == pytest.approx(1)
    assert schedule(0, TrainConfig(out=tmp_path, warmup_epochs=0)) == pytest.approx(1)


def test_the_averaged_weights_are_what_is_kept(small_csv: Path, tmp_path: Path) -> None:
    """Of a run of two epochs: the model that is returned is the checkpoint's average, and not where it has got to."""
    options = config(tmp_path, small_csv, 2, ema_decay=0.9)
    kept = run(options, read_faces(small_csv, "Training")).state_dict()
    state = load_checkpoint(tmp_path / "checkpoint.pt", "cpu")
    assert all(torch.equal(value, state["averaged"]["model." + name]) for name, value in kept.items())
    assert not torch.equal(kept["attention.score.weight"], state["objective"]["model.attention.score.weight"])


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_matrices_decay_and_vectors_do_not(small_csv: Path, tmp_path: Path, optimiser: str) -> None:
    """Biases and batch norm keep their size."""
    model = FullModel(SHAPE)
    options = config(tmp_path, small_csv, 1, optimiser=optimiser, weight_decay=0.03)
    matrices, vectors = make_optimiser(model, options).param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.03, 0)
    assert {p.ndim > 1 for p in matrices["params"]} == {True}
    assert {p.ndim > 1 for p in vectors["params"]} == {False}
    assert len(matrices["params"]) + len(vectors["params"]) == len([*model.parameters()])


def test_multiplications_are_counted() -> None:
    """The count of the stem and of an LSTM is that of pencil and paper."""
    stem = Backbone((4,), (1,), stem_stride=2)
    # 5×5 stem on 24×24, then two 3×3 convolutions of 4 channels
    assert macs(stem) == 24 * 24 * (25 * 4 + 2 * 9 * 4 * 4)
    sequence = nn.Sequential(nn.Flatten(2), BiLSTM(48 * 48, 8))
    # one position: four gates of 4 units, each direction, from 2304 inputs and 4 states
    assert macs(sequence) == 2 * 4 * 4 * (48 * 48 + 4)


def test_train_leaves_weights_curves_and_configuration(toy_teacher: Path) -> None:
    """A finished run leaves what distillation and people need, and nothing half-written."""
    names = {path.name for path in toy_teacher.iterdir()}
    assert names == {
        "checkpoint.pt", "config.json", "curves.csv", "curves.png", "weights.json", "weights.safetensors"
    }  # fmt: skip
    meta = json.loads((toy_teacher / "weights.json").read_text())
    assert meta["config"]["model"]["widths"] == [8, 8, 16]
    assert meta["config"]["out"] == toy_teacher.name  # what is published says nothing of a machine
    assert meta["parameters"] > 1000
    assert meta["macs"] > meta["parameters"]
    assert len(meta["public_test"]["confusion"]) == 7


def test_a_warm_restart_begins_with_the_weights_of_another_run(small_csv: Path, tmp_path: Path) -> None:
    """With a learning rate of next to nothing the first run's weights come out again; another shape is refused."""
    first, second = tmp_path / "first", tmp_path / "second"
    loop.train(config(first, small_csv, 1))
    loop.train(config(second, small_csv, 1, start_from=(first,), learning_rate=1e-12, seed=1))
    before, after = FullModel(SHAPE), FullModel(SHAPE)
    load_weights(first, before)
    load_weights(second, after)
    for name, value in before.named_parameters():  # the classifier's bias is corrected at the end of every run
        assert name == "classify.1.bias" or torch.equal(value, dict(after.named_parameters())[name]), name
    coarse = dataclasses.replace(SHAPE, stem_stride=3 - SHAPE.stem_stride)
    with pytest.raises(DataError, match=rf"stem of stride {coarse.stem_stride}.* --stem-stride {SHAPE.stem_stride}"):
        loop.train(config(tmp_path / "third", small_csv, 1, start_from=(first,), model=coarse))
    narrow = dataclasses.replace(SHAPE, context_width=8)
    with pytest.raises(DataError, match="expected weights of FullModel"):
        loop.train(config(tmp_path / "third", small_csv, 1, start_from=(first,), model=narrow))


def test_a_soup_is_the_mean_of_the_runs_that_it_names(small_csv: Path, tmp_path: Path) -> None:
    """With no epochs the mean of the runs is what is kept; a folder that is named twice counts twice."""
    for name, rate in (("a", 1e-2), ("b", 1e-1)):
        loop.train(config(tmp_path / name, small_csv, 1, learning_rate=rate))
    a, b, soup = FullModel(SHAPE), FullModel(SHAPE), FullModel(SHAPE)
    load_weights(tmp_path / "a", a)
    load_weights(tmp_path / "b", b)
    start_from = (tmp_path / "a", tmp_path / "a", tmp_path / "b")
    loop.train(config(tmp_path / "soup", small_csv, 0, start_from=start_from))
    load_weights(tmp_path / "soup", soup)
    loop.train(config(tmp_path / "c", small_csv, 1, start_from=start_from))
    with pytest.raises(UsageError, match=r"--epochs 0: expected no run in --out, got .*c"):
        loop.train(config(tmp_path / "c", small_csv, 0, start_from=start_from))
    states = (a.state_dict(), b.state_dict(), soup.state_dict())
    for name in states[0]:
        one, other, mean = (state[name].double() for state in states)
        if not name.endswith(("num_batches_tracked", "classify.1.bias")):  # the bias is corrected for each
            torch.testing.assert_close(mean, (2 * one + other) / 3, rtol=2e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("flag", "wrong"),
    [
        ("epochs", {"epochs": 0}),
        ("batch", {"batch": 1}),
        ("ema-decay", {"ema_decay": 1.0}),
        ("learning-rate", {"learning_rate": 0.0}),
        ("corrupt-share", {"corrupt_share": 1.0}),
        ("erase-share", {"erase_share": -0.1}),
        ("cutmix-share", {"mixup_share": 0.6, "cutmix_share": 0.6}),
        ("ferplus-weight", {"ferplus": Path("votes.csv")}),
        ("ferplus-weight", {"ferplus_weight": -1.0}),
    ],
)
def test_values_out_of_range_or_in_contradiction_are_refused(flag: str, wrong: dict[str, Any]) -> None:
    """Each refused value names its flag."""
    with pytest.raises(UsageError, match=f"--{flag} is out of range"):
        TrainConfig(**wrong)


def test_no_data_and_no_votes_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_csv: Path) -> None:
    """Without --data and without FER_EDGE_DATA the error names both; the same for votes that a weight asks for."""
    monkeypatch.delenv("FER_EDGE_DATA", raising=False)
    monkeypatch.delenv("FER_EDGE_FERPLUS", raising=False)
    with pytest.raises(UsageError, match="--data PATH or FER_EDGE_DATA"):
        loop.train(TrainConfig(out=tmp_path))
    with pytest.raises(UsageError, match="--ferplus PATH or FER_EDGE_FERPLUS"):
        loop.train(config(tmp_path, small_csv, 1, ferplus_weight=0.5))


def test_a_gpu_that_is_not_there_is_refused(small_csv: Path, tmp_path: Path) -> None:
    """--device cuda without a GPU ends in one error before anything is read."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match="a GPU that torch can use"):
        loop.train(config(tmp_path, small_csv, 1, device="cuda"))
