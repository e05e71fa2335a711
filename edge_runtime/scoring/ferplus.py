"""FER+ (Barsoum et al. 2016): what ten annotators voted for each face of FER2013, a second opinion on its label."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.scoring.datasets import FaceSet
from edge_runtime.scoring.readers import OFFICIAL_COUNTS

OPINIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""The emotions that annotators could choose, in the file's order; ``unknown`` and ``NF`` (no face) are none."""

_EMOTION_OF = (6, 3, 5, 4, 0, 1, 2, -1)
"""The label of each opinion; contempt has none."""

_LEAST_ALIKE = 0.4
"""FER+ names FER2013's label of 63 % of the faces; the same votes in another order of 18 %."""

_USAGE = "Usage"


def read_votes(path: Path, data: Path, faces: FaceSet) -> NDArray[np.float32]:
    """Return the shares of the votes, float32 (n, 8) in the order of ``OPINIONS``, of the n ``faces`` of a split.

    A row sums to 1, or to 0 where nobody voted for an emotion. ``path`` is ``fer2013new.csv``, whose rows are in the
    order of FER2013's; ``data`` is where the faces are from, and a folder tree has lost that order. Raises
    ``DataError`` when it is missing, of another form, or not of these faces.
    """
    step = "name fer2013new.csv of FERPlus with --ferplus, and FER2013 as .csv or .parquet with --data"
    if data.is_dir():
        raise DataError("votes", expected="faces in FER2013's order", got=f"the folder {data}", next_step=step)
    votes = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            if not {_USAGE, *OPINIONS} <= set(reader.fieldnames or ()):
                expected = ", ".join((_USAGE, *OPINIONS))
                got = f"{reader.fieldnames}"
                raise DataError(f"{path.name} is not FER+", expected=expected, got=got, next_step=step)
            for row in reader:
                if row[_USAGE] not in OFFICIAL_COUNTS:
                    got, expected = repr(row[_USAGE]), "one of " + ", ".join(OFFICIAL_COUNTS)
                    what = f"{path.name} line {reader.line_num}: usage"
                    raise DataError(what, expected=expected, got=got, next_step=step)
                if row[_USAGE] == faces.split:
                    votes.append([int(row[name] or "") for name in OPINIONS])
    except (csv.Error, UnicodeDecodeError, OSError, ValueError, TypeError) as error:
        raise DataError(f"{path.name} is not FER+", expected="rows of votes", got=str(error), next_step=step) from error
    if len(votes) != len(faces):
        what, got = f"{path.name} for {faces.split}", str(len(votes))
        raise DataError(what, expected=f"votes of its {len(faces)} faces", got=got, next_step=step)
    counts = np.asarray(votes, np.float32)
    if (counts < 0).any():
        raise DataError(f"{path.name}", expected="votes of at least 0", got=f"{counts.min():.0f}", next_step=step)
    alike = np.mean(np.array(_EMOTION_OF)[counts.argmax(axis=1)] == faces.labels)
    if alike < _LEAST_ALIKE:
        what, got = f"{path.name} for {faces.split}", f"{alike:.0%}, as of votes in another order"
        expected = f"votes that name the label of {_LEAST_ALIKE:.0%} of the faces"
        raise DataError(what, expected=expected, got=got, next_step=step)
    shares: NDArray[np.float32] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares
