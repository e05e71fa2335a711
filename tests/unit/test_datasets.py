"""The readers of FER2013: what a whole file gives, and how every broken one is refused."""

from __future__ import annotations

import csv
import hashlib
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import DataError
from edge_runtime.scoring.datasets import FaceSet, read_faces
from edge_runtime.scoring.readers import OFFICIAL_COUNTS, Split

HEADER = "emotion,pixels,Usage"
PIXELS = " ".join(str(i % 256) for i in range(48 * 48))


def write_csv(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """Write a header and rows as they are."""
    path = folder / "faces.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def refusal(path: Path, split: Split = "Training") -> DataError:
    """Read what must be refused; check that the message has all its four parts, and return the error."""
    with pytest.raises(DataError) as caught:
        read_faces(path, split)
    error = caught.value
    assert all((error.what, error.expected, error.got, error.next_step))
    assert str(error) == f"{error.what}: expected {error.expected}, got {error.got}. Next: {error.next_step}."
    return error


@pytest.mark.parametrize(("split", "count"), [("Training", 168), ("PublicTest", 84), ("PrivateTest", 84)])
def test_csv_gives_each_split_whole(small_csv: Path, split: Split, count: int) -> None:
    """A split has its own rows and no others, with the shapes and types that the models read."""
    faces = read_faces(small_csv, split)
    assert len(faces) == count
    assert faces.images.shape == (count, 48, 48)
    assert (faces.images.dtype, faces.labels.dtype) == (np.uint8, np.int64)
    assert faces.split == split
    assert faces.sha256 == hashlib.sha256(small_csv.read_bytes()).hexdigest()


def test_a_spreadsheet_s_mark_is_no_part_of_a_column(small_csv: Path, tmp_path: Path) -> None:
    """Excel puts the byte-order mark before the first name."""
    (tmp_path / "marked.csv").write_bytes(b"\xef\xbb\xbf" + small_csv.read_bytes())
    marked, plain = (read_faces(path, "PublicTest") for path in (tmp_path / "marked.csv", small_csv))
    np.testing.assert_array_equal(marked.images, plain.images)


@pytest.mark.parametrize("split", OFFICIAL_COUNTS)
def test_csv_keeps_order_labels_and_every_pixel(small_csv: Path, split: Split) -> None:
    """Faces come in the order of the file, each with its own label and the very pixels of its row."""
    with small_csv.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row[2] == split]
    faces = read_faces(small_csv, split)
    assert faces.labels.tolist() == [int(row[0]) for row in rows]
    written = np.array([np.array(row[1].split(), int).reshape(48, 48) for row in rows])
    np.testing.assert_array_equal(faces.images, written)


def test_rows_of_pixels_are_rows_of_the_picture(tmp_path: Path) -> None:
    """The 49th number of a row is the first pixel of the second line."""
    image = read_faces(write_csv(tmp_path, f"3,{PIXELS},Training"), "Training").images[0]
    assert image[0, :3].tolist() == [0, 1, 2]
    assert image[1, 0] == 48
    assert image[47, 47] == (48 * 48 - 1) % 256


def test_a_split_says_whether_it_is_the_official_one() -> None:
    """Only the official number of faces is called the official split."""
    images, labels = np.zeros((3589, 48, 48), np.uint8), np.zeros(3589, np.int64)
    whole = FaceSet(images=images, labels=labels, split="PublicTest", sha256="")
    part = FaceSet(images=images[1:], labels=labels[1:], split="PublicTest", sha256="")
    assert whole.described == "PublicTest: 3,589 faces (the official split)"
    assert part.described == "PublicTest: 3,588 faces (the official split has 3,589)"


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A missing file is named, with how to name another."""
    error = refusal(tmp_path / "nowhere.csv")
    assert error.what == "face data not found"
    assert error.got.endswith("nowhere.csv")
    assert "FER_EDGE_DATA" in error.next_step


@pytest.mark.parametrize("name", ["nothing", "a" * 5000 + ".csv", "a\0b.csv"])
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, name: str) -> None:
    """A name that nothing has, one that is too long and one with a NUL are no file."""
    assert refusal(tmp_path / name).what == "face data not found"


def test_unknown_suffix_is_refused(tmp_path: Path) -> None:
    """The form is told by the suffix, so an unknown one is refused and shown."""
    (tmp_path / "faces.json").write_text("{}")
    assert refusal(tmp_path / "faces.json").got == "'.json'"


def test_unknown_split_is_refused(small_csv: Path) -> None:
    """A split that FER2013 does not have is refused."""
    with pytest.raises(DataError, match="unknown split: expected Training, PublicTest, PrivateTest, got 'Test'"):
        read_faces(small_csv, "Test")  # type: ignore[arg-type]


@pytest.mark.parametrize("header", ["a,b,c", "emotion,pixels", "emotion;pixels;Usage", "Emotion,Pixels,usage", ""])
def test_foreign_csv_columns_are_refused(tmp_path: Path, header: str) -> None:
    """A CSV file with other columns is not FER2013."""
    error = refusal(write_csv(tmp_path, f"0,{PIXELS},Training", header=header))
    assert error.what == "faces.csv is not FER2013"
    assert error.expected == "columns emotion, pixels, Usage"


def test_binary_garbage_is_refused(tmp_path: Path) -> None:
    """Bytes that are no text are refused as no CSV file."""
    path = tmp_path / "faces.csv"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert refusal(path).what == "faces.csv is not a CSV file"


def test_open_quote_is_refused(tmp_path: Path) -> None:
    """A quote that never closes is refused, not read as one long field."""
    assert refusal(write_csv(tmp_path, f'0,"{PIXELS},Training')).what == "faces.csv is not a CSV file"


def test_field_of_impossible_length_is_refused(tmp_path: Path) -> None:
    """A field longer than any face is refused."""
    error = refusal(write_csv(tmp_path, "0," + "1 " * 100_000 + ",Training"))
    assert error.what == "faces.csv is not a CSV file"
    assert "limit" in error.got


@pytest.mark.parametrize("split", ["Training", "PublicTest"])
def test_csv_cut_in_mid_row_is_refused(tmp_path: Path, split: Split) -> None:
    """A file cut in mid-row is refused in that row, even when the cut row is of another split."""
    path = write_csv(tmp_path, f"0,{PIXELS},PublicTest", f"1,{PIXELS},Training", f"2,{PIXELS},Training")
    whole = path.read_bytes()
    path.write_bytes(whole[:-4000])
    error = refusal(path, split)
    assert error.what == "faces.csv line 4: impossible usage"
    assert error.got == "None"


@pytest.mark.parametrize(("count", "pixels"), [(2303, PIXELS[:-4]), (2305, PIXELS + " 0"), (0, "")])
def test_wrong_number_of_pixels_is_refused(tmp_path: Path, count: int, pixels: str) -> None:
    """A face has 2,304 pixels; one more or less is counted in the message."""
    error = refusal(write_csv(tmp_path, f"0,{PIXELS},Training", f"0,{pixels},Training"))
    assert error.what == "faces.csv line 3: impossible number of pixels"
    assert (error.expected, error.got) == ("2304", str(count))


@pytest.mark.parametrize("pixel", ["256", "-1", "x", "1.0", "9" * 30])
def test_impossible_pixel_is_refused(tmp_path: Path, pixel: str) -> None:
    """A pixel is a whole number from 0 to 255."""
    error = refusal(write_csv(tmp_path, f"0,{pixel} {PIXELS[2:]},Training"))
    assert error.what == "faces.csv line 2: impossible pixels"
    assert error.expected == "whole numbers 0 to 255"


@pytest.mark.parametrize("label", ["7", "-1", "1.5", "x", "", "007", "٣", "²", "9" * 5000])
@pytest.mark.parametrize("split", ["Training", "PublicTest"])
def test_impossible_label_is_refused(tmp_path: Path, label: str, split: Split) -> None:
    """A label is a number from 0 to 6; another is refused in whichever split it stands."""
    error = refusal(write_csv(tmp_path, f"{label},{PIXELS},PublicTest"), split)
    assert error.what == "faces.csv line 2: impossible label"
    assert (error.expected, error.got) == ("0 to 6", repr(label))


@pytest.mark.parametrize("usage", ["training", "Test", ""])
def test_unknown_usage_is_refused(tmp_path: Path, usage: str) -> None:
    """A row of no known split is refused, not passed over."""
    error = refusal(write_csv(tmp_path, f"0,{PIXELS},Training", f"0,{PIXELS},{usage}"))
    assert error.what == "faces.csv line 3: impossible usage"
    assert error.got == repr(usage)


def test_split_without_faces_is_refused(tmp_path: Path) -> None:
    """A split of which the file has no row is refused, not returned empty."""
    error = refusal(write_csv(tmp_path, f"0,{PIXELS},Training"), "PrivateTest")
    assert error.what == "faces.csv holds no face of PrivateTest"


def png(image: np.ndarray) -> bytes:
    """Encode a picture."""
    cv2 = pytest.importorskip("cv2")
    return bytes(cv2.imencode(".png", image)[1].tobytes())


def write_parquet(folder: Path, images: Sequence[Any], labels: Sequence[Any], usages: Sequence[Any]) -> Path:
    """Write a table of the three columns, typed by what they hold."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = folder / "faces.parquet"
    columns = {"image": pa.array(images), "label": pa.array(labels), "usage": pa.array(usages)}
    parquet.write_table(pa.table(columns), path)
    return path


def picture(content: Any = None) -> dict[str, Any]:
    """Return a cell of the image column."""
    return {"bytes": png(np.zeros((48, 48), np.uint8)) if content is None else content, "path": "face.png"}


def test_parquet_equals_csv(small_csv: Path, tmp_path: Path) -> None:
    """The Parquet form gives the same faces and labels in the same order as the CSV, split by split."""
    splits = {split: read_faces(small_csv, split) for split in OFFICIAL_COUNTS}
    path = write_parquet(
        tmp_path,
        [picture(png(image)) for faces in splits.values() for image in faces.images],
        [int(label) for faces in splits.values() for label in faces.labels],
        [split for split, faces in splits.items() for _ in range(len(faces))],
    )
    for split, faces in splits.items():
        read = read_faces(path, split)
        np.testing.assert_array_equal(read.images, faces.images)
        np.testing.assert_array_equal(read.labels, faces.labels)
        assert (read.images.dtype, read.labels.dtype) == (np.uint8, np.int64)
        assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_parquet_is_refused(tmp_path: Path, share: float) -> None:
    """A Parquet file whose end is missing is refused, wherever it was cut."""
    path = write_parquet(tmp_path, [picture()] * 20, [0] * 20, ["Training"] * 20)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert refusal(path).what == "faces.parquet is not a whole Parquet file"


def test_foreign_parquet_columns_are_refused(tmp_path: Path) -> None:
    """A Parquet file with other columns is not FER2013, and its columns are shown."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"image": [1], "label": [0]}), tmp_path / "faces.parquet")
    error = refusal(tmp_path / "faces.parquet")
    assert error.what == "faces.parquet is not FER2013"
    assert (error.expected, error.got) == ("columns image, label, usage", "['image', 'label']")


def test_parquet_usage_of_another_type_is_refused(tmp_path: Path) -> None:
    """A usage column of numbers cannot be compared with a split, which is a refusal and not a crash."""
    assert refusal(write_parquet(tmp_path, [picture()], [0], [1])).what == "faces.parquet is not a whole Parquet file"


@pytest.mark.parametrize("shape", [(47, 48), (48, 49), (96, 96)])
def test_parquet_picture_of_another_size_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    """A picture of another size is refused, never scaled."""
    cell = picture(png(np.zeros(shape, np.uint8)))
    error = refusal(write_parquet(tmp_path, [picture(), cell], [0, 0], ["Training"] * 2))
    assert error.what == "faces.parquet, row 1 of Training: impossible picture"
    assert (error.expected, error.got) == ("48×48", str(shape))


def huge_png() -> bytes:
    """Return a PNG whose header promises more pixels than OpenCV allocates."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 900_000, 900_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    "cell",
    [picture(b"no picture"), picture(b""), picture("text"), picture(huge_png()), b"bytes alone", "text alone", 3],
    ids=["junk", "empty", "text", "huge", "bytes alone", "text alone", "number"],
)
def test_parquet_cell_that_is_no_picture_is_refused(tmp_path: Path, cell: Any) -> None:
    """Whatever stands where a picture should be, the row is refused as no picture."""
    error = refusal(write_parquet(tmp_path, [cell], [0], ["Training"]))
    assert error.what == "faces.parquet, row 0 of Training: impossible picture"
    assert error.got == "not a picture"


@pytest.mark.parametrize("label", [7, -1, 1.5, None, "x", True])
def test_parquet_label_out_of_range_is_refused(tmp_path: Path, label: Any) -> None:
    """Labels of the Parquet form are held to the same range as the CSV's."""
    error = refusal(write_parquet(tmp_path, [picture()], [label], ["Training"]))
    assert error.what == "faces.parquet, row 0 of Training: impossible label"


def test_parquet_split_without_faces_is_refused(tmp_path: Path) -> None:
    """A split of which the table has no row is refused, not returned empty."""
    error = refusal(write_parquet(tmp_path, [picture()], [0], ["Training"]), "PublicTest")
    assert error.what == "faces.parquet holds no face of PublicTest"


def test_icml_face_data_is_read_like_fer2013(small_csv: Path, tmp_path: Path) -> None:
    """The contest's own file has other columns' order and spaces before their names, and gives the same faces."""
    with small_csv.open(newline="", encoding="utf-8") as file:
        rows = [f"{row['emotion']},{row['Usage']},{row['pixels']}" for row in csv.DictReader(file)]
    path = write_csv(tmp_path, *rows, header="emotion, Usage, pixels")
    for split in OFFICIAL_COUNTS:
        ours, theirs = read_faces(small_csv, split), read_faces(path, split)
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
