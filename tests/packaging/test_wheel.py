"""The wheel: what a device needs, and nothing of the workstation."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_runtime.emotions.classifier import SHIPPED

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel by the project's own build backend."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("fer_edge-*.whl")
    return path


def test_wheel_holds_device_side_harness_and_bundles(wheel: Path) -> None:
    """edge_runtime and benchmarks with the shipped models, typed; no training code, no test."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"edge_runtime", "benchmarks", "fer_edge"}
    shipped = {f"edge_runtime/bundles/{path.relative_to(SHIPPED)}" for path in SHIPPED.rglob("*") if path.is_file()}
    assert shipped
    assert shipped <= set(names)
    assert {"edge_runtime/py.typed", "benchmarks/py.typed"} <= set(names)


def test_wheel_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere it loads the shipped int8 student, and torch is never imported."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    script = (
        "import sys; sys.path.insert(0, '.'); import edge_runtime\n"
        "assert edge_runtime.__file__.startswith(sys.argv[1]), edge_runtime.__file__\n"
        "recogniser = edge_runtime.Recogniser.load(precision='int8', detector='mtcnn')\n"
        "import numpy; print(recogniser(numpy.zeros((48, 64, 3), numpy.uint8)), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout == "() False\n", done.stderr
