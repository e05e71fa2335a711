"""Distillation: the loss, and the table of what teachers say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from distill import loop, views
from distill.config import DistillConfig, StudentConfig
from distill.loop import DistillObjective, distill
from distill.loss import distillation_loss, feature_loss
from distill.networks import load_network
from distill.student import Student
from edge_runtime.emotions.normalise import MEAN, STD
from edge_runtime.errors import DataError, SinkError, UsageError
from edge_runtime.options import from_plain
from edge_runtime.scoring.datasets import read_faces
from train.checkpoint import load_checkpoint, load_shape
from train.config import ModelConfig
from train.curves import Curves
from train.model import FullModel


def test_loss_is_the_published_formula() -> None:
    """Both parts agree with their definitions, written out."""
    random = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(5, 7, generator=random), torch.randn(5, 7, generator=random)
    labels = torch.tensor([0, 1, 2, 3, 6])
    one_hot = torch.eye(7)[labels]
    p = torch.softmax(teacher / 3, dim=1)
    parts = distillation_loss(student, p, one_hot, temperature=3, label_weight=0.25)
    divergence = (p * (p.log() - torch.log_softmax(student / 3, dim=1))).sum(1).mean()
    assert parts["teacher"].item() == pytest.approx(0.75 * 9 * divergence.item(), rel=1e-5)
    entropy = -torch.log_softmax(student, dim=1)[torch.arange(5), labels].mean()
    assert parts["label"].item() == pytest.approx(0.25 * entropy.item(), rel=1e-5)


def test_a_student_that_equals_its_teacher_has_no_divergence() -> None:
    """The teacher's part is zero for equal logits."""
    logits = torch.randn(5, 7)
    targets = torch.softmax(logits / 2, dim=1)
    parts = distillation_loss(logits, targets, torch.eye(7)[:5], temperature=2, label_weight=0)
    assert parts["teacher"].item() == pytest.approx(0, abs=1e-6)
    assert parts["label"].item() == 0


def test_features_are_compared_by_direction() -> None:
    """Vectors that point alike have no loss, whatever their length; opposite ones have 2."""
    vectors = torch.randn(5, 16)
    assert feature_loss(3 * vectors, vectors).item() == pytest.approx(0, abs=1e-6)
    assert feature_loss(-vectors, vectors).item() == pytest.approx(2, abs=1e-6)


@pytest.fixture
def options(toy_teacher: Path, small_csv: Path, tmp_path: Path) -> DistillConfig:
    """Return a distillation of two views."""
    return DistillConfig(data=small_csv, out=tmp_path, teachers=(toy_teacher,), views=2, precision="fp32")


def test_what_cannot_be_is_refused_before_the_teachers_label(
    options: DistillConfig, toy_student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labelling takes minutes: a table's folder that is a file, other weights to start from and no votes come first."""

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(views, "apply_view", never)
    (tmp_path / "file").write_text("no folder")
    for wrong, error in (
        ({"targets": tmp_path / "file"}, SinkError),
        ({"start_from": (toy_student,), "student": StudentConfig(widths=(8, 8), blocks=(1, 1))}, DataError),
        ({"ferplus": tmp_path / "file", "ferplus_power": 1.0}, DataError),
    ):
        with pytest.raises(error):
            distill(dataclasses.replace(options, out=tmp_path / "run", **wrong))


def test_a_student_learns_what_smoothing_hid(options: DistillConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --teacher-smoothing the table is taught without it; the file keeps what the teachers say."""
    taught = []
    fit = loop.fit

    def seen(objective: loop.DistillObjective, *rest: object) -> nn.Module:
        taught.append(objective.targets)
        return fit(objective, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "fit", seen)
    options = dataclasses.replace(options, epochs=1, batch=24, targets=options.out / "tables")
    distill(dataclasses.replace(options, out=options.out / "smooth"))
    distill(dataclasses.replace(options, out=options.out / "sharp", teacher_smoothing=0.1))
    assert torch.equal(taught[1], views.unsmoothed(taught[0], 0.1, options.temperature))
    assert not torch.equal(*taught)
    assert len([*(options.out / "tables").iterdir()]) == 1


class Recorder(nn.Module):
    """A network that keeps what it was shown, and answers zeros."""

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Return zeros (n, 7)."""
        self.shown = faces
        return torch.zeros(len(faces), 7, requires_grad=True)


@pytest.mark.parametrize("share", [0.0, 0.999])
def test_blended_faces_have_blended_targets(
    options: DistillConfig, small_csv: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """What the student sees is a mixture of two views of the epoch, and what it should say is that of their targets."""
    faces = read_faces(small_csv, "Training")
    targets = torch.softmax(torch.randn(2, len(faces), 7), dim=-1).half()
    recorder, aims = Recorder(), {}

    def recorded(_: torch.Tensor, taught: torch.Tensor, labels: torch.Tensor, **__: float) -> dict[str, torch.Tensor]:
        aims.update(taught=taught, labels=labels)
        return {}

    monkeypatch.setattr(loop, "distillation_loss", recorded)
    objective = DistillObjective(
        recorder, faces, targets, dataclasses.replace(options, mixup_share=share, corrupt_share=0)
    )
    objective.begin_epoch(3, 0)
    index = torch.arange(14)
    objective(index)
    views = (objective.see(index) - MEAN) / STD
    truth = torch.nn.functional.one_hot(objective.labels[index], 7).float()
    for i in range(len(index)):  # some partner and share explain all three at once
        errors = []
        for partner in range(len(index)):
            own = 1.0 if partner == i or not share else _share(recorder.shown[i], views[i], views[partner])
            mixed = [own * part[i] + (1 - own) * part[partner] for part in (views, targets[1, index].float(), truth)]
            wanted = (recorder.shown[i], aims["taught"][i], aims["labels"][i])
            errors.append(max((a - b).abs().max().item() for a, b in zip(mixed, wanted, strict=True)))
        assert min(errors) < 1e-4
    assert torch.allclose(recorder.shown, views) == (share == 0)


def test_the_first_teacher_s_features_can_be_learnt(options: DistillConfig) -> None:
    """The loss falls, and neither the teacher nor the map between the two is kept."""
    rates = {"epochs": 6, "feature_weight": 1.0, "learning_rate": 0.01, "corrupt_share": 0.0}
    distill(dataclasses.replace(options, batch=14, **rates))
    losses = [row["features"] for row in Curves(options.out, 6).rows]
    assert losses[-1] < 0.8 * losses[0]
    assert 0 < losses[0] < 2
    kept = load_network(options.out, "student").state_dict()
    assert kept.keys() == Student(options.student).state_dict().keys()
    saved = load_checkpoint(options.out / "checkpoint.pt", "cpu")["objective"]
    assert {name.partition(".")[0] for name in saved} == {"model", "to_teacher"}


def test_features_of_another_teacher_are_other_data(options: DistillConfig, toy_teacher: Path, small_csv: Path) -> None:
    """A run does not go on with the features of another first teacher, though all of them together say the same."""
    faces, teacher = read_faces(small_csv, "Training"), load_network(toy_teacher, "model")
    targets = torch.zeros(2, len(faces), 7)

    def learns_from() -> str:
        return DistillObjective(Student(options.student), faces, targets, options, teacher).learns_from

    before = learns_from()
    assert learns_from() == before
    with torch.no_grad():
        teacher.classify[1].bias += 1
    assert learns_from() != before


def test_every_other_round_is_mirrored(options: DistillConfig, small_csv: Path) -> None:
    """After the last view the first comes again as its mirror image, which the teachers' answers are of as well."""
    faces, index = read_faces(small_csv, "Training"), torch.arange(14)
    objective = DistillObjective(Recorder(), faces, torch.zeros(2, len(faces), 7), options)
    seen = []
    for epoch in range(5):
        objective.begin_epoch(epoch, 0)
        seen.append(objective.see(index))
        assert objective.number == epoch % 2
    for first, later in ((0, 2), (1, 3)):
        assert torch.equal(seen[first].flip(-1), seen[later])
        assert not torch.equal(seen[first], seen[later])
    assert torch.equal(seen[0], seen[4])


def _share(mixed: torch.Tensor, own: torch.Tensor, other: torch.Tensor) -> float:
    """Return the share of ``own`` in the mixture that comes nearest to ``mixed``."""
    return float(((mixed - other) * (own - other)).sum() / (own - other).square().sum())


def test_the_full_model_can_be_taught_and_teach(options: DistillConfig, toy_teacher: Path) -> None:
    """A full model learns from a teacher with all its parts but the autoencoder, which it takes, and then is one."""
    distill(dataclasses.replace(options, network="full", student=StudentConfig(), epochs=1, batch=24))
    taught, teacher = load_network(options.out), load_network(toy_teacher)
    for name, value in teacher.autoencoder.state_dict().items():
        assert torch.equal(value, taught.autoencoder.state_dict()[name]), name
    assert not torch.equal(teacher.classify[1].weight, taught.classify[1].weight)
    assert isinstance(taught, FullModel)
    assert taught.state_dict().keys() == load_network(toy_teacher).state_dict().keys()


def test_a_warm_restart_begins_with_the_weights_of_another_run(options: DistillConfig, toy_teacher: Path) -> None:
    """With a learning rate of next to nothing the first network's weights come out again; one beginning is enough."""
    restart = {
        "network": "full",
        "student": StudentConfig(),
        "epochs": 1,
        "batch": 24,
        "start_from": (toy_teacher,),
        "learning_rate": 1e-12,
    }
    distill(dataclasses.replace(options, **restart))
    first, again = (dict(load_network(folder).named_parameters()) for folder in (toy_teacher, options.out))
    del first["classify.1.bias"]  # it is corrected at the end of every run
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    with pytest.raises(UsageError, match="--start-from"):
        dataclasses.replace(options, start_from=(toy_teacher,), quantise_from=toy_teacher)


def test_a_student_s_soup_needs_no_teacher(toy_student: Path, small_csv: Path, tmp_path: Path) -> None:
    """The mean of finished students is one, whoever taught them; a full model's has the shape of its first teacher."""
    shape = from_plain(StudentConfig, load_shape(toy_student, "student"))
    two = (toy_student, toy_student)
    soup = DistillConfig(data=small_csv, out=tmp_path, epochs=0, student=shape, start_from=two, batch=24)
    distill(soup)
    one, mean = (load_network(folder, "student").state_dict() for folder in (toy_student, tmp_path))
    del mean["classify.bias"]  # it is corrected for each
    assert all(torch.equal(value, one[name]) for name, value in mean.items())
    with pytest.raises(UsageError, match="--teachers"):
        dataclasses.replace(soup, network="full", student=StudentConfig())


def test_a_transformer_whose_features_are_learnt_sees_whole_faces(options: DistillConfig) -> None:
    """It knows the positions of a whole face: cuts are refused before anybody labels."""
    model = ModelConfig(context="transformer")
    dataclasses.replace(options, crop=40, model=model)
    with pytest.raises(UsageError, match="--crop is out of range: expected 48: a transformer"):
        dataclasses.replace(options, crop=40, model=model, feature_weight=1.0)


def test_a_student_s_shape_is_refused_where_none_is_taught(options: DistillConfig) -> None:
    """A full model gets its teacher's shape: a student's beside it would be ignored."""
    with pytest.raises(UsageError, match="--network is out of range: expected student, where"):
        dataclasses.replace(options, network="full", student=StudentConfig(expansion=5))


def test_a_student_cannot_teach(toy_student: Path) -> None:
    """A student's folder in the place of a full model's is named as such."""
    with pytest.raises(DataError, match="expected those of a model, got student"):
        load_network(toy_student, "model")


def test_no_teacher_and_a_missing_teacher_are_refused(tmp_path: Path) -> None:
    """The first is a usage error, the second names the file that is not there."""
    with pytest.raises(UsageError, match="--teachers"):
        DistillConfig(out=tmp_path)
    with pytest.raises(DataError, match=r"weights\.json"):
        load_network(tmp_path / "nowhere", "model")


def test_half_precision_weights_are_the_run_s(toy_teacher: Path) -> None:
    """What was saved as fp16 is within half precision of the checkpoint's averaged weights, but for the bias."""
    stored = load_network(toy_teacher, "model").state_dict()
    del stored["classify.1.bias"]  # it is corrected at the end of the run
    averaged = torch.load(toy_teacher / "checkpoint.pt", weights_only=True)["averaged"]
    for name, value in stored.items():
        original = averaged["model." + name].float().numpy()
        np.testing.assert_allclose(value.float().numpy(), original, rtol=2e-3, atol=1e-4)
