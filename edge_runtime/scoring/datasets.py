"""Readers of FER2013: Kaggle's CSV and the Parquet form, by the official splits (Goodfellow et al. 2013)."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS, FACE_SIZE
from edge_runtime.errors import DataError, NotInstalledError

Split = Literal["Training", "PublicTest", "PrivateTest"]
OFFICIAL_COUNTS: dict[Split, int] = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}

_CSV_COLUMNS = ("emotion", "pixels", "Usage")
_PARQUET_COLUMNS = ("image", "label", "usage")
_NEXT_STEP = "name Kaggle's fer2013.csv or its Parquet form with --data or FER_EDGE_DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSet:
    """The faces of one split.

    ``images``: uint8 (n, 48, 48), grey. ``labels``: int64 (n,), an index into ``EMOTIONS``. ``sha256``: of the file
    read.
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
    """Read one official split of FER2013 from ``path`` (``.csv`` or ``.parquet``).

    Raises ``DataError`` when the file is missing, truncated, of another form, or holds an impossible row.
    """
    if split not in get_args(Split):
        raise DataError(
            "unknown split", expected=", ".join(get_args(Split)), got=repr(split), next_step="correct --split"
        )
    if not os.path.isfile(path):  # noqa: PTH113  (Path.is_file raises when a name is too long)
        raise DataError("face data not found", expected="a file", got=str(path), next_step=_NEXT_STEP)
    readers = {".csv": _csv_rows, ".parquet": _parquet_rows}
    if path.suffix.lower() not in readers:
        raise DataError(
            f"{path.name} is of an unknown form",
            expected=".csv or .parquet",
            got=repr(path.suffix),
            next_step=_NEXT_STEP,
        )
    images, labels = [], []
    for image, label in readers[path.suffix.lower()](path, split):
        images.append(image)
        labels.append(label)
    if not images:
        raise DataError(
            f"{path.name} holds no face of {split}",
            expected="at least one row",
            got="none",
            next_step="check its usage column",
        )
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FaceSet(images=np.stack(images), labels=np.asarray(labels, np.int64), split=split, sha256=sha256)


def _csv_rows(path: Path, split: Split) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Rows of Kaggle's ``fer2013.csv``: emotion 0–6, 2,304 pixels 0–255 parted by spaces, usage."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames is None or not set(_CSV_COLUMNS) <= set(reader.fieldnames):
                raise _foreign(path, _CSV_COLUMNS, reader.fieldnames or ())
            for row in reader:
                where = f"{path.name} line {reader.line_num}"
                if row["Usage"] not in OFFICIAL_COUNTS:
                    raise _bad_row(where, "usage", "one of " + ", ".join(OFFICIAL_COUNTS), repr(row["Usage"]))
                label = _label(row["emotion"], where)
                if row["Usage"] == split:
                    yield _pixels(row["pixels"], where), label
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{path.name} is not a CSV file",
            expected="text of comma-separated rows",
            got=str(error),
            next_step=_NEXT_STEP,
        ) from error


def _pixels(text: str | None, where: str) -> NDArray[np.uint8]:
    try:
        pixels = bytes(map(int, (text or "").split()))  # bytes() itself refuses what is outside 0..255
    except ValueError as error:
        raise _bad_row(where, "pixels", "whole numbers 0 to 255", str(error)) from error
    if len(pixels) != FACE_SIZE * FACE_SIZE:
        raise _bad_row(where, "number of pixels", f"{FACE_SIZE * FACE_SIZE}", str(len(pixels)))
    return np.frombuffer(pixels, np.uint8).reshape(FACE_SIZE, FACE_SIZE)


def _label(value: object, where: str) -> int:
    text = str(value)
    if text not in map(str, range(len(EMOTIONS))):
        raise _bad_row(where, "label", f"0 to {len(EMOTIONS) - 1}", repr(value))
    return int(text)


def _parquet_rows(path: Path, split: Split) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Rows of the Parquet form: ``image`` {bytes: an encoded 48×48 picture}, ``label`` 0–6, ``usage``."""
    try:
        import cv2
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        step = "pip install 'fer-edge[train]'"
        raise NotInstalledError(
            "Parquet cannot be read", expected="pyarrow and cv2", got=f"no {error.name}", next_step=step
        ) from error
    try:
        columns = pq.read_schema(path).names
        if not set(_PARQUET_COLUMNS) <= set(columns):
            raise _foreign(path, _PARQUET_COLUMNS, columns)
        table = pq.read_table(path, columns=list(_PARQUET_COLUMNS), filters=[("usage", "=", split)])
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path.name} is not a whole Parquet file",
            expected="a readable table",
            got=str(error),
            next_step=_NEXT_STEP,
        ) from error
    for number, row in enumerate(table.to_pylist()):
        where = f"{path.name}, row {number} of {split}"
        encoded = row["image"].get("bytes") if isinstance(row["image"], dict) else None
        try:
            image = cv2.imdecode(np.frombuffer(encoded or b"\0", np.uint8), cv2.IMREAD_GRAYSCALE)
        except (cv2.error, TypeError):  # a header of impossible size; text instead of bytes
            image = None
        if image is None or image.shape != (FACE_SIZE, FACE_SIZE):
            raise _bad_row(
                where, "picture", f"{FACE_SIZE}×{FACE_SIZE}", "not a picture" if image is None else f"{image.shape}"
            )
        yield image.astype(np.uint8, copy=False), _label(row["label"], where)


def _foreign(path: Path, expected: tuple[str, ...], got: Sequence[str]) -> DataError:
    columns = ", ".join(expected)
    return DataError(
        f"{path.name} is not FER2013", expected=f"columns {columns}", got=f"{list(got)[:8]}", next_step=_NEXT_STEP
    )


def _bad_row(where: str, what: str, expected: str, got: str) -> DataError:
    return DataError(f"{where}: impossible {what}", expected=expected, got=got, next_step="download the file again")
