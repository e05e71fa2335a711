"""The FER+ votes: their order, their shares, and how a broken file is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import DataError
from edge_runtime.scoring.datasets import FaceSet
from edge_runtime.scoring.ferplus import read_votes
from edge_runtime.scoring.readers import Split

VOTES_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def write_votes(folder: Path, *rows: str, header: str = VOTES_HEADER) -> Path:
    """Write a file of FER+ votes."""
    path = folder / "votes.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def faces(labels: list[int], split: Split = "Training") -> FaceSet:
    """Return black faces of these labels."""
    images = np.zeros((len(labels), 48, 48), np.uint8)
    return FaceSet(images=images, labels=np.array(labels, np.int64), split=split, sha256="")


def test_votes_become_shares_in_the_faces_order(tmp_path: Path) -> None:
    """A row sums to one over the eight emotions, unknown and not-a-face left out; no vote at all is a row of zeros."""
    path = write_votes(
        tmp_path,
        "Training,a.png,4,0,0,1,3,2,0,0,0,0",
        "PublicTest,b.png,0,10,0,0,0,0,0,0,0,0",
        "Training,c.png,0,0,0,0,0,0,0,0,3,7",
        "Training,d.png,0,0,0,0,0,0,0,5,5,0",
    )
    shares = read_votes(path, Path("fer2013.csv"), faces([6, 6, 2]))
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares[0], [0.4, 0, 0, 0.1, 0.3, 0.2, 0, 0])
    assert shares[1].sum() == 0
    np.testing.assert_allclose(shares[2], [0, 0, 0, 0, 0, 0, 0, 1])
    public = read_votes(path, Path("fer2013.csv"), faces([3], "PublicTest"))
    np.testing.assert_allclose(public, [[0, 1, 0, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["Training,a.png,4,0,0,1,3,2,0,0,0,0"], VOTES_HEADER, "expected votes of its 2 faces, got 1"),
        (["Training,a.png,4,0"], VOTES_HEADER, "expected rows of votes"),
        (["Training,a.png,x,0,0,1,3,2,0,0,0,0"], VOTES_HEADER, "expected rows of votes"),
        (["Test,a.png,4,0,0,1,3,2,0,0,0,0"], VOTES_HEADER, "line 2: usage"),
        (["Training,a.png,-4,0,0,1,3,2,0,0,0,0"] * 2, VOTES_HEADER, "votes of at least 0"),
        (["Training,a.png"], "Usage,Image name", "is not FER\\+"),
    ],
)
def test_broken_votes_are_refused(tmp_path: Path, rows: list[str], header: str, message: str) -> None:
    """Whatever is wrong with the file of votes ends in one error."""
    with pytest.raises(DataError, match=message):
        read_votes(write_votes(tmp_path, *rows, header=header), Path("fer2013.csv"), faces([6, 6]))


def test_votes_of_a_folder_tree_or_of_no_file_are_refused(tmp_path: Path) -> None:
    """A folder tree has lost the order that votes rely on; a missing file is named."""
    with pytest.raises(DataError, match="faces in FER2013's order"):
        read_votes(write_votes(tmp_path), tmp_path, faces([6, 6]))
    with pytest.raises(DataError, match=r"nowhere\.csv is not FER\+"):
        read_votes(tmp_path / "nowhere.csv", Path("fer2013.csv"), faces([6, 6]))


def test_votes_in_another_order_are_refused(tmp_path: Path) -> None:
    """As many as there are faces, and of others: they name the label no more often than chance."""
    votes = [",".join("10" if k % 5 == place else "0" for place in range(5)) for k in range(50)]
    rows = [f"Training,{k}.png,{said},0,0,0,0,0" for k, said in enumerate(votes)]
    labels = [(6, 3, 5, 4, 0)[k % 5] for k in range(50)]
    assert read_votes(write_votes(tmp_path, *rows), Path("fer2013.csv"), faces(labels)).shape == (50, 8)
    with pytest.raises(DataError, match="the label of 40% of the faces, got 0%, as of votes in another order"):
        read_votes(write_votes(tmp_path, *rows[1:], rows[0]), Path("fer2013.csv"), faces(labels))
