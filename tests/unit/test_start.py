"""Starting an artefact in a process of its own."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import start
from benchmarks.start import measure_start
from edge_runtime.emotions import selftest
from edge_runtime.emotions.classifier import SHIPPED
from edge_runtime.emotions.contract import read_card
from edge_runtime.errors import BundleError
from edge_runtime.process import peak_mb

ONNX = next(a for a in read_card(SHIPPED / "student").artefacts if str(a) == "onnx int8")


def test_an_engine_costs_time_and_memory() -> None:
    """A real engine takes longer to import, and more memory, than the null backend in a process of its own."""
    null, onnx = measure_start("student", None, 1), measure_start("student", ONNX, 1)
    assert onnx.import_ms > null.import_ms
    assert min(onnx.load_ms, onnx.first_ms) > 0
    assert onnx.resident_mb is not None
    assert null.resident_mb is not None
    assert onnx.resident_mb > null.resident_mb > 10
    assert peak_mb() != onnx.resident_mb  # it is the other process's


def test_drawing_the_face_is_no_part_of_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A face that takes half a second to draw makes neither loading nor the first face longer."""
    faces = selftest.faces

    def slowly(n: int, seed: int) -> np.ndarray:
        if n == 1:  # the self-test itself draws more of them
            time.sleep(0.5)
        return faces(n, seed)

    monkeypatch.setattr(selftest, "faces", slowly)
    started = start._start("student", "null", 1)
    assert started.first_ms < 400
    assert started.load_ms < 400


def test_what_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An altered file ends in its own message, and a process that a signal ended in the signal's name."""
    shutil.copytree(SHIPPED / "student", tmp_path / "student")
    (tmp_path / "student" / next(iter(ONNX.files))).write_bytes(b"")
    with pytest.raises(BundleError, match=r"onnx int8 at its start: .*sha256"):
        measure_start(str(tmp_path / "student"), ONNX, 1)
    killer = tmp_path / "python"
    killer.write_text("#!/bin/sh\nkill -ILL $$\n")
    killer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killer))
    with pytest.raises(BundleError, match="got SIGILL"):
        measure_start("student", ONNX, 1)
