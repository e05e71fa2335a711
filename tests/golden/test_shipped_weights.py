"""The committed weights, of the full model and of the shipped student: small, whole, as accurate as they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distill.networks import load_network
from edge_runtime.scoring.datasets import FaceSet
from train.checkpoint import load_meta, load_shape
from train.evaluate import predict
from train.loop import macs

WEIGHTS = Path(__file__).resolve().parents[2] / "train" / "weights"
RUNS = sorted(path.parent for path in WEIGHTS.glob("*/weights.json"))
EACH = pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)


def test_they_fit_into_a_repository() -> None:
    """There are some, and all together they take at most 24 MB."""
    assert RUNS
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*")) <= 24_000_000


@EACH
def test_they_are_what_their_card_says(run: Path) -> None:
    """They load, and have the parameters and multiplications that were counted."""
    meta, network = load_meta(run), load_network(run)
    assert sum(p.numel() for p in network.parameters()) == meta["parameters"]
    assert macs(network) == meta["macs"]
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_every_part_of_the_paper_is_on() -> None:
    """The full model has its autoencoder, its BiLSTM and its attention."""
    shape = load_shape(WEIGHTS / "full", "model")
    assert (shape["autoencoder"], shape["context"], shape["attention"]) == (True, "bilstm", True)


@EACH
def test_accuracy_is_measured_again(run: Path, public_test: FaceSet) -> None:
    """Each face once through the network gives the accuracy of the card, to a tenth of a point."""
    answers = predict(load_network(run), public_test.images).argmax(axis=1)
    assert (answers == public_test.labels).mean() == pytest.approx(load_meta(run)["public_test"]["accuracy"], abs=1e-3)
