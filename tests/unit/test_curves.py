"""The table of a run's epochs: damaged, and with columns that are new."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edge_runtime.errors import DataError
from train.curves import Curves, draw

ROW = {
    "epoch": 1.0,
    "seconds": 2.0,
    "train_loss": 1.5,
    "train_accuracy": 0.4,
    "public_loss": 1.6,
    "public_accuracy": 0.3,
}


@pytest.mark.parametrize(
    "table", ["epoch,loss\n1,\n", "epoch,loss\n1,2,3\n", "loss\n1\n", "epoch,x\n1,2\n", "epoch\n\x00\n"]
)
def test_damaged_curves_are_one_error(tmp_path: Path, table: str) -> None:
    """A table that is no longer one of these numbers ends in an error that names it, before an epoch is learnt."""
    (tmp_path / "curves.csv").write_text(table)
    with pytest.raises(DataError, match="move it away"):
        Curves(tmp_path, 1)


def test_a_single_epoch_is_seen() -> None:
    """Of one point there is no line: it has a mark."""
    assert {line.get_marker() for axes in draw([ROW]).axes for line in axes.lines} == {"."}
    assert {line.get_marker() for axes in draw([ROW, ROW]).axes for line in axes.lines} == {"None"}


def test_curves_go_on_where_a_part_of_the_loss_is_new(tmp_path: Path) -> None:
    """What an earlier sitting did not know is not a number, and the table is read again."""
    Curves(tmp_path, 0).add(ROW)
    Curves(tmp_path, 1).add(ROW | {"epoch": 2.0, "ferplus": 0.5})
    first, second = Curves(tmp_path, 2).rows
    assert second == ROW | {"epoch": 2.0, "ferplus": 0.5}
    assert {name: first[name] for name in ROW} == ROW
    assert math.isnan(first["ferplus"])
