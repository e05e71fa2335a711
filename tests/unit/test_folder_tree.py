"""FER2013 as a folder tree of pictures, as Kaggle offers it too."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.emotions.labels import EMOTIONS
from edge_runtime.errors import DataError
from edge_runtime.scoring.datasets import FaceSet, read_faces
from edge_runtime.scoring.readers import OFFICIAL_COUNTS, Split


def refusal(path: Path, split: Split = "Training") -> DataError:
    """Read what must be refused; return the error."""
    with pytest.raises(DataError) as caught:
        read_faces(path, split)
    return caught.value


def write_tree(folder: Path, faces: FaceSet, name: str, suffix: str = ".png") -> None:
    """Write faces as ``test|train/<emotion>/<name>_<number>``."""
    for number, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        place = folder / ("train" if faces.split == "Training" else "test") / EMOTIONS[label]
        place.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(place / f"{name}_{number:04}{suffix}"), image)


def test_a_folder_tree_gives_each_split(small_csv: Path, tmp_path: Path) -> None:
    """Kaggle's tree tells the test splits apart by file names; labels come from folders, pixels from the pictures."""
    splits = {split: read_faces(small_csv, split) for split in OFFICIAL_COUNTS}
    for split, faces in splits.items():
        write_tree(tmp_path, faces, split)
    (tmp_path / "train" / "happy" / "Thumbs.db").write_bytes(b"not a picture, and not one by its name")
    for split, faces in splits.items():
        read = read_faces(tmp_path, split)
        order = np.argsort(faces.labels, kind="stable")
        np.testing.assert_array_equal(read.images, faces.images[order])
        np.testing.assert_array_equal(read.labels, faces.labels[order])
    before = read.sha256
    next((tmp_path / "train" / "sad").iterdir()).unlink()
    assert read_faces(tmp_path, "PublicTest").sha256 != before


def test_a_tree_with_one_test_split_is_public(small_csv: Path, tmp_path: Path) -> None:
    """Where names say nothing, test/ is the split that choices are made on, and there is no PrivateTest."""
    write_tree(tmp_path, read_faces(small_csv, "PublicTest"), "face", ".jpg")
    assert len(read_faces(tmp_path, "PublicTest")) == 84
    assert "holds no face of PrivateTest" in refusal(tmp_path, "PrivateTest").what
    assert "no folder" in refusal(tmp_path, "Training").got


def test_a_hidden_file_is_no_picture_and_names_are_of_one_kind(small_csv: Path, tmp_path: Path) -> None:
    """MacOS leaves ._x.png beside x.png; own faces beside Kaggle's would belong to neither split, unsaid."""
    write_tree(tmp_path, read_faces(small_csv, "PublicTest"), "PublicTest")
    (tmp_path / "test" / "happy" / "._PublicTest_0000.png").write_bytes(b"\0\5\x16\7")
    assert len(read_faces(tmp_path, "PublicTest")) == 84
    (tmp_path / "test" / "happy" / "PublicTest_0000.png").with_name("mine.png").write_bytes(b"")
    for split in ("PublicTest", "PrivateTest"):
        assert refusal(tmp_path, split).got == "1 that are not, beside 84"


def test_a_tree_with_a_broken_picture_names_it(small_csv: Path, tmp_path: Path) -> None:
    """A picture that cannot be decoded, or of another size, is refused by its name."""
    write_tree(tmp_path, read_faces(small_csv, "Training"), "face")
    broken = tmp_path / "train" / "fear" / "broken.png"
    broken.write_bytes(b"no picture")
    assert "broken.png: impossible picture" in refusal(tmp_path).what
    cv2.imwrite(str(broken), np.zeros((40, 48), np.uint8))
    assert refusal(tmp_path).got == "(40, 48)"


def test_a_link_to_nowhere_and_a_folder_like_a_picture_are_named(small_csv: Path, tmp_path: Path) -> None:
    """Each ends in the error of a picture that cannot be read."""
    write_tree(tmp_path, read_faces(small_csv, "Training"), "Training")
    wrong = tmp_path / "train" / "happy" / "wrong.png"
    wrong.symlink_to(tmp_path / "nowhere.png")
    assert "wrong.png: expected a picture, got No such file" in str(refusal(tmp_path))
    wrong.unlink()
    wrong.mkdir()
    assert "wrong.png: expected a picture, got Is a directory" in str(refusal(tmp_path))
