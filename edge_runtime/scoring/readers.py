"""The forms in which FER2013 is found: Kaggle's two CSV files, Parquet, a folder tree of pictures."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_runtime.emotions.labels import EMOTIONS, FACE_SIZE
from edge_runtime.errors import DataError, NotInstalledError

Split = Literal["Training", "PublicTest", "PrivateTest"]
OFFICIAL_COUNTS: dict[Split, int] = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}

NEXT_STEP = (
    "name Kaggle's fer2013.csv or icml_face_data.csv, its Parquet form, or a folder tree with --data or FER_EDGE_DATA"
)

Row = tuple[NDArray[np.uint8], int]
"""A face uint8 (48, 48) and its label 0–6."""

_CSV_COLUMNS = ("emotion", "pixels", "Usage")
_PARQUET_COLUMNS = ("image", "label", "usage")
_PICTURES = (".jpg", ".jpeg", ".png")


def csv_rows(path: Path, split: Split) -> Iterator[Row]:
    """Rows of Kaggle's ``fer2013.csv``: emotion 0–6, 2,304 pixels 0–255 parted by spaces, usage.

    ``icml_face_data.csv`` holds the same rows in another order of columns, with spaces before their names.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # with Excel's mark at its beginning, or without
            reader = csv.DictReader(file, strict=True)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            if not set(_CSV_COLUMNS) <= set(reader.fieldnames):
                raise _foreign(path, _CSV_COLUMNS, reader.fieldnames)
            for row in reader:
                where = f"{path.name} line {reader.line_num}"
                if row["Usage"] not in OFFICIAL_COUNTS:
                    raise _bad_row(where, "usage", "one of " + ", ".join(OFFICIAL_COUNTS), repr(row["Usage"]))
                label = _label(row["emotion"], where)
                if row["Usage"] == split:
                    yield _pixels(row["pixels"], where), label
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        what, expected = f"{path.name} is not a CSV file", "text of comma-separated rows"
        raise DataError(what, expected=expected, got=str(error), next_step=NEXT_STEP) from error


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


def parquet_rows(path: Path, split: Split) -> Iterator[Row]:
    """Rows of the Parquet form: ``image`` {bytes: an encoded 48×48 picture}, ``label`` 0–6, ``usage``."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise _missing("Parquet", error) from error
    try:
        columns = pq.read_schema(path).names
        if not set(_PARQUET_COLUMNS) <= set(columns):
            raise _foreign(path, _PARQUET_COLUMNS, columns)
        table = pq.read_table(path, columns=list(_PARQUET_COLUMNS), filters=[("usage", "=", split)])
    except (pa.ArrowException, OSError) as error:
        what = f"{path.name} is not a whole Parquet file"
        raise DataError(what, expected="a readable table", got=str(error), next_step=NEXT_STEP) from error
    for number, row in enumerate(table.to_pylist()):
        where = f"{path.name}, row {number} of {split}"
        encoded = row["image"].get("bytes") if isinstance(row["image"], dict) else None
        yield _decode(encoded, where), _label(row["label"], where)


def folder_rows(path: Path, split: Split) -> Iterator[Row]:
    """Pictures ``train|test/<emotion>/*.jpg|png`` in the order of their names.

    The copy on Kaggle holds both test splits in ``test/`` and tells them apart by names that begin with ``PublicTest``
    or ``PrivateTest``. Where no name does, ``test/`` is taken for PublicTest, the split that choices are made on.
    Hidden files are left out.
    """
    folder = path / ("train" if split == "Training" else "test")
    for emotion in EMOTIONS:
        if not (folder / emotion).is_dir():
            expected = f"train/ and test/, each with {', '.join(EMOTIONS)}"
            what = f"{path.name} is not FER2013"
            raise DataError(what, expected=expected, got=f"no folder {folder / emotion}", next_step=NEXT_STEP)
    files = [(file, label) for label, name in enumerate(EMOTIONS) for file in sorted((folder / name).iterdir())]
    files = [(file, label) for file, label in files if file.suffix.lower() in _PICTURES and file.name[0] != "."]
    if split != "Training":
        named = sum(file.name.startswith(("PublicTest", "PrivateTest")) for file, _ in files)
        if 0 < named < len(files):
            expected, step = "pictures named PublicTest… or PrivateTest…, all or none", "rename the others"
            got = f"{len(files) - named} that are not, beside {named}"
            raise DataError(f"{folder}", expected=expected, got=got, next_step=step)
        if named or split == "PrivateTest":
            files = [(file, label) for file, label in files if file.name.startswith(split)]
    for file, label in files:
        try:
            encoded = file.read_bytes()
        except OSError as error:  # a link to nowhere, a folder with a picture's name
            got = error.strerror or str(error)
            raise DataError(str(file), expected="a picture", got=got, next_step="see to it, or remove it") from error
        yield _decode(encoded, str(file)), label


def _decode(encoded: Any, where: str) -> NDArray[np.uint8]:  # noqa: ANN401  (a broken file may hold anything)
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise _missing("encoded pictures", error) from error
    try:
        image = cv2.imdecode(np.frombuffer(encoded or b"\0", np.uint8), cv2.IMREAD_GRAYSCALE)
    except (cv2.error, TypeError):  # a header of impossible size; text instead of bytes
        image = None
    if image is None or image.shape != (FACE_SIZE, FACE_SIZE):
        got = "not a picture" if image is None else f"{image.shape}"
        raise _bad_row(where, "picture", f"{FACE_SIZE}×{FACE_SIZE}", got)
    return image.astype(np.uint8, copy=False)


def _missing(form: str, error: ModuleNotFoundError) -> NotInstalledError:
    step, got = "in the checkout, pip install '.[train]'", f"no {error.name}"
    return NotInstalledError(f"{form} cannot be read", expected="pyarrow and cv2", got=got, next_step=step)


def _foreign(path: Path, expected: tuple[str, ...], got: Sequence[str]) -> DataError:
    columns, found = "columns " + ", ".join(expected), f"{list(got)[:8]}"
    return DataError(f"{path.name} is not FER2013", expected=columns, got=found, next_step=NEXT_STEP)


def _bad_row(where: str, what: str, expected: str, got: str) -> DataError:
    return DataError(
        f"{where}: impossible {what}", expected=expected, got=got, next_step="correct it, or download it again"
    )
