"""The runs under emulation: every engine in every environment on both boards, and what they saw and counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.arm.boards import BOARDS
from benchmarks.arm.emulator import CHECKOUT, ENVIRONMENTS, Emulator, qemu, run_to_end
from benchmarks.arm.gate import Record, name_of
from benchmarks.arm.guest import BUNDLE, run_arguments
from edge_runtime.emotions.classifier import bundle_folder
from edge_runtime.emotions.contract import Engine, read_card
from edge_runtime.errors import BundleError
from edge_runtime.faces.detectors import YUNET_VARIABLE
from edge_runtime.faces.fetch import YUNET

_BOX_PX, _CONFIDENCE = 2.0, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One process under emulation."""

    board: str
    environment: str
    engine: Engine

    def __str__(self) -> str:
        """Name it, as counts and messages do."""
        return name_of(self.board, self.environment, self.engine)


def measure(emulator: Emulator, picture: Path) -> Record:
    """Run every engine in every environment on both boards, and see that it sees what it sees here.

    Raises ``BundleError`` for a run that fails or sees something else.
    """
    shutil.copyfile(picture, emulator.folder / "picture.jpg")
    yunet = os.environ.get(YUNET_VARIABLE)
    if yunet:
        shutil.copyfile(yunet, emulator.folder / "yunet.onnx")
    jobs = [
        Job(board=board, environment=name, engine=engine)
        for board, (name, environment) in product(BOARDS, ENVIRONMENTS.items())
        for engine in environment.engines
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda job: emulate(emulator, job, yunet=bool(yunet)), jobs)
        found = dict(zip(jobs, tqdm(results, total=len(jobs), unit="run", leave=False, disable=None), strict=True))
    wanted = {(job.engine, result["precision"]) for job, result in found.items()}
    here = {artefact: faces_here(*artefact, emulator.folder) for artefact in wanted}
    for job, result in found.items():
        compare_faces(str(job), result["faces"], here[job.engine, result["precision"]])
    conditions, refused = {"qemu": emulator.version}, refused_without_vnni(emulator)
    counts: dict[str, int] = {}
    for job, result in found.items():
        place = job.board, job.environment
        conditions |= {f"{job.environment} {name}": version for name, version in result["versions"].items()}
        refused |= {name_of(*place, artefact): why for artefact, why in result["refused"].items()}
        for subject, parts in result["counts"].items():
            counts |= {name_of(*place, subject, part): n for part, n in parts.items()}
    files = {
        name: sha for artefact in read_card(bundle_folder(BUNDLE)).artefacts for name, sha in artefact.files.items()
    }
    files |= {"yunet": YUNET.sha256} if yunet else {}
    return Record(conditions=dict(sorted(conditions.items())), files=files, counts=counts, refused=refused)


def emulate(emulator: Emulator, job: Job, *, yunet: bool) -> dict[str, Any]:
    """Run one job; return what ``guest`` found, with the faces that it saw."""
    out = Path(f"run-{job.board}-{job.environment}-{job.engine}")
    folder = emulator.folder / out
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # frames are counted once in each environment of today's OpenCV, with the engine that is preferred there
    frames = job.engine == "tflite" and ENVIRONMENTS[job.environment].constrained
    detectors = ["mtcnn", *(["yunet"] if yunet else [])] if frames else []
    start = emulator.command(job.board, job.environment, out / "count", yunet=yunet)
    guest = ["-m", "benchmarks.arm.guest", job.engine, str(out / "count"), "picture.jpg", str(out), *detectors]
    done = run_to_end([*start, *guest], str(job), cwd=emulator.folder, env={})
    _require_success(str(job), done)
    found: dict[str, Any] = json.loads((folder / "found.json").read_bytes())
    return found | {"faces": _faces(folder)}


def faces_here(engine: Engine, precision: str, folder: Path) -> list[dict[str, Any]]:
    """Return the faces that this machine sees in the same picture."""
    out = folder / f"run-here-{engine}"
    out.mkdir(exist_ok=True)
    arguments = run_arguments(engine, precision, folder / "picture.jpg", out)
    command = [sys.executable, "-m", "edge_runtime", *arguments]
    what = f"{engine} {precision} on this machine"
    _require_success(what, run_to_end(command, what, cwd=CHECKOUT))
    return _faces(out)


def compare_faces(where: str, there: list[dict[str, Any]], here: list[dict[str, Any]]) -> None:
    """Raise ``BundleError`` unless both saw the same faces with the same emotions.

    Boxes may lie two pixels apart and confidences 0.05: sums of floating point are taken in another order there.
    """
    same = len(there) == len(here) > 0 and all(
        a["emotion"] == b["emotion"]
        and abs(a["confidence"] - b["confidence"]) <= _CONFIDENCE
        and max(abs(p - q) for p, q in zip(a["box_xyxy"], b["box_xyxy"], strict=True)) <= _BOX_PX
        for a, b in zip(there, here, strict=True)
    )
    if not same:
        expected, got = (
            ", ".join(f"{face['emotion']} {face['confidence']} at {face['box_xyxy']}" for face in faces) or "no face"
            for faces in (here, there)
        )
        raise BundleError(f"{where}: faces", expected=expected, got=got, next_step="find what computes it otherwise")


def refused_without_vnni(emulator: Emulator) -> dict[str, str]:
    """Return x86's int8 artefacts that are refused on a processor without VNNI, where sums of products may overflow."""
    refused = {}
    for engine in ("onnx", "openvino"):
        check = ["check", "--detector", "mtcnn", "--engine", engine, "--precision", "int8"]
        player = [*qemu(emulator.folder, "qemu-x86_64"), "-cpu", "Haswell"]
        command = [*player, sys.executable, "-m", "edge_runtime", *check]
        what = f"{engine} int8 on a Haswell"
        done = run_to_end(command, what, cwd=CHECKOUT)
        if done.returncode == BundleError.exit_code:
            refused[name_of("x86-64 without VNNI", f"{engine} int8")] = _last_line(done)
        else:
            _require_success(what, done)
    return refused


def _faces(folder: Path) -> list[dict[str, Any]]:
    line = json.loads((folder / "faces.jsonl").read_text(encoding="utf-8"))
    faces: list[dict[str, Any]] = line["faces"]
    return faces


def _require_success(what: str, done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        got, step = f"{done.returncode}, {_last_line(done)}", "see to its message; -4 is an illegal instruction"
        raise BundleError(what, expected="exit code 0", got=got, next_step=step)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or ["no message"])[-1]
