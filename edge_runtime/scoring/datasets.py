"""FER2013 by its official splits (Goodfellow et al. 2013), whatever form it comes in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.scoring.readers import NEXT_STEP, OFFICIAL_COUNTS, Split, csv_rows, folder_rows, parquet_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSet:
    """The faces of one split.

    ``images``: uint8 (n, 48, 48), grey. ``labels``: int64 (n,), an index into ``EMOTIONS``. ``sha256``: of the file
    read, or of a folder's names and files.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    split: Split
    sha256: str

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.labels)

    @property
    def described(self) -> str:
        """One phrase for people: how many faces, and whether that is the official split."""
        official = OFFICIAL_COUNTS[self.split]
        note = "the official split" if len(self) == official else f"the official split has {official:,}"
        return f"{self.split}: {len(self):,} faces ({note})"


def read_faces(path: Path, split: Split) -> FaceSet:
    """Read one official split of FER2013 from ``path``: ``.csv``, ``.parquet`` or a folder tree.

    Raises ``DataError`` when it is missing, truncated, of another form, or holds an impossible row.
    """
    if split not in get_args(Split):
        raise DataError(
            "unknown split", expected=", ".join(get_args(Split)), got=repr(split), next_step="correct --split"
        )
    suffix, exists = path.suffix.lower(), _exists(path)
    readers = {".csv": csv_rows, ".parquet": parquet_rows}
    if not exists:
        raise DataError("face data not found", expected="a file or a folder", got=str(path), next_step=NEXT_STEP)
    if not path.is_dir() and suffix not in readers:
        what, expected = f"{path.name} is of an unknown form", ".csv, .parquet or a folder"
        raise DataError(what, expected=expected, got=repr(path.suffix), next_step=NEXT_STEP)
    reader = folder_rows if path.is_dir() else readers[suffix]
    images, labels = [], []
    for image, label in reader(path, split):
        images.append(image)
        labels.append(label)
    if not images:
        what, step = f"{path.name} holds no face of {split}", "check its usage column, or the folder's names"
        raise DataError(what, expected="at least one row", got="none", next_step=step)
    return FaceSet(images=np.stack(images), labels=np.asarray(labels, np.int64), split=split, sha256=_fingerprint(path))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _fingerprint(path: Path) -> str:
    """Return the sha256 of a file, or of the names and contents of a folder's files in the order of their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for name in sorted(path.rglob("*")):
        if name.is_file():
            digest.update(name.relative_to(path).as_posix().encode() + b"\0" + name.read_bytes())
    return digest.hexdigest()
