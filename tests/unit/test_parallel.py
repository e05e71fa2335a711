"""Two CPU processes as one run, started by torchrun through the same entry point."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from distill.networks import load_network

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SMALL = [
    *("--widths", "8", "8", "16", "--blocks", "1", "1", "1", "--context-width", "16", "--autoencoder-width", "8"),
    *("--batch", "24", "--precision", "fp32", "--learning-rate", "0.01"),
]  # fmt: skip


def torchrun(*words: str) -> subprocess.CompletedProcess[str]:
    """Run two processes of a module or a script."""
    return subprocess.run(
        [*TORCHRUN, *words], capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def test_two_processes_train_one_model(small_csv: Path, tmp_path: Path) -> None:
    """They leave one checkpoint, one line an epoch and whole weights, print once, and go on when told to."""
    train = ("-m", "edge_runtime", "train", "--data", str(small_csv), "--out", str(tmp_path), *SMALL)
    first = torchrun(*train, "--epochs", "1")
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("PublicTest: accuracy") == 1
    second = torchrun(*train, "--epochs", "2")
    assert second.returncode == 0, second.stderr
    assert second.stdout.count("going on after 1 epochs") == 1
    with (tmp_path / "curves.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert all(torch.isfinite(p).all() for p in load_network(tmp_path).parameters())


def test_two_processes_are_taught_from_one_table(small_csv: Path, toy_teacher: Path, tmp_path: Path) -> None:
    """The leader labels the views, the other finds its table: one bar of labelling, one table, one student."""
    words = ("--teachers", str(toy_teacher), "--views", "1", "--epochs", "1", "--batch", "24", "--widths", "8", "8")
    shape = ("--blocks", "1", "1", "--dense-stages", "1")
    run = ("-m", "edge_runtime", "distill", "--data", str(small_csv), "--out", str(tmp_path), *words, *shape)
    done = torchrun(*run)
    assert done.returncode == 0, done.stderr
    assert len([*tmp_path.glob("targets-*.npy")]) == 1
    assert done.stderr.count("teachers: 100%") == 1
    assert done.stdout.count("PublicTest: accuracy") == 1


PROBE = """
import sys, torch
from pathlib import Path
from edge_runtime.scoring.datasets import read_faces
from train.config import ModelConfig, TrainConfig
from train.loop import fit, prepare
from train.model import FullModel
from train.objective import EmotionObjective
from train.parallel import team

data, out = map(Path, sys.argv[1:])
shape = ModelConfig(widths=(8, 8, 16), blocks=(1, 1, 1), context_width=16, autoencoder_width=8)
config = TrainConfig(data=data, out=out, epochs=1, batch=24, precision="fp32", model=shape)
with team(config) as run:
    training, public = prepare(config, run)
    objective = EmotionObjective(FullModel(shape), training, config)
    seen = []
    see = objective.see
    objective.see = lambda index: seen.extend(index.tolist()) or see(index)
    fit(objective, training, public, config, run)
    torch.save({"weights": dict(objective.named_parameters()), "seen": seen}, out / f"rank{run.rank}.pt")
"""


def test_processes_share_the_faces_and_agree_on_the_weights(small_csv: Path, tmp_path: Path) -> None:
    """Each face is seen by one of them, and after an epoch of different faces their weights are the same bits."""
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    done = torchrun(str(probe), str(small_csv), str(tmp_path))
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert sorted(first["seen"] + second["seen"]) == list(range(168))
    for name, value in first["weights"].items():
        assert torch.equal(value, second["weights"][name]), name


APART = """
from train.config import TrainConfig
from train.parallel import team

with team(TrainConfig(batch=24)) as run:
    assert run.agree("epochs done", 3) == 3
    run.agree("epochs done", 40 * run.rank)
"""


def test_processes_whose_folders_differ_are_refused(tmp_path: Path) -> None:
    """Two hosts that do not share --out would average the gradients of different epochs."""
    probe = tmp_path / "probe.py"
    probe.write_text(APART)
    done = torchrun(str(probe))
    assert done.returncode != 0
    assert "--out: expected the same epochs done in each process, got [0, 40]" in done.stderr


@pytest.mark.parametrize("batch", ["25"])
def test_a_batch_that_cannot_be_shared_is_refused(small_csv: Path, tmp_path: Path, batch: str) -> None:
    """An odd batch for two processes ends in the usage error."""
    words = ("-m", "edge_runtime", "train", "--data", str(small_csv), "--out", str(tmp_path), *SMALL, "--batch", batch)
    done = torchrun(*words)
    assert done.returncode != 0
    assert "--batch is out of range: expected a multiple of the 2 processes, got 25" in done.stderr
