"""The runs under emulation: every engine in every environment on both boards, and what they saw and counted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.arm.boards import BOARDS
from benchmarks.arm.emulator import CHECKOUT, ENVIRONMENTS, X86_PLAYER, Emulator, run_to_end
from benchmarks.arm.estimate import ENVIRONMENT
from benchmarks.arm.gate import Record, name_of
from benchmarks.arm.guest import Task, run_arguments
from edge_runtime.emotions.backends.base import ENGINES
from edge_runtime.emotions.classifier import bundle_folder, shipped_bundles
from edge_runtime.emotions.contract import Engine, read_card
from edge_runtime.errors import BundleError, UsageError
from edge_runtime.faces.detectors import DetectorName, open_detector, yunet_file
from edge_runtime.options import to_plain

COUNTED = "tflite int8"
"""The artefact whose network alone is counted for any bundle."""

_BOX_PX, _CONFIDENCE = 2.0, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One process under emulation."""

    board: str
    environment: str
    task: Task

    def __str__(self) -> str:
        """Name it, as counts and messages do."""
        what = self.task.engine if self.task.picture else f"{', '.join(self.task.bundles)} {self.task.engine}"
        return name_of(self.board, self.environment, what)


def measure(emulator: Emulator, picture: Path) -> Record:
    """Run every engine in every environment on both boards, and see that it sees what it sees here.

    Raises ``BundleError`` for a run that fails or sees something else.
    """
    looked_at = {"picture": shutil.copyfile(picture, emulator.folder / "picture.jpg")}
    yunet = yunet_file()
    if yunet:
        open_detector("yunet")  # one clear error where the file is gone, or another
        looked_at["yunet"] = shutil.copyfile(yunet, emulator.folder / "yunet.onnx")
    bundles = shipped_bundles()
    jobs = []
    for board, (name, environment), engine in product(BOARDS, ENVIRONMENTS.items(), ENGINES):
        if engine in environment.engines:
            # frames are counted once in each environment of today's OpenCV, with the engine that is preferred there
            frames = engine == "tflite" and environment.constrained
            detectors: tuple[DetectorName, ...] = ("mtcnn", "yunet") if yunet else ("mtcnn",)
            task = Task(engine=engine, bundles=bundles, picture="picture.jpg", detectors=detectors if frames else ())
            jobs.append(Job(board=board, environment=name, task=task))
    found = _emulate_all(emulator, jobs)
    wanted = {(job.task.engine, result["precision"]) for job, result in found.items()}
    here = {artefact: faces_here(*artefact, emulator.folder) for artefact in wanted}
    for job, result in found.items():
        compare_faces(str(job), result["faces"], here[job.task.engine, result["precision"]])
    conditions, refused = {"qemu": emulator.version}, refused_without_vnni(emulator, bundles)
    counts: dict[str, int] = {}
    for job, result in found.items():
        place = job.board, job.environment
        conditions |= {f"{job.environment} {name}": version for name, version in result["versions"].items()}
        refused |= {name_of(*place, artefact): why for artefact, why in result["refused"].items()}
        for subject, parts in result["counts"].items():
            counts |= {name_of(*place, subject, part): n for part, n in parts.items()}
    files = {
        name: sha
        for bundle in bundles
        for artefact in read_card(bundle_folder(bundle)).artefacts
        for name, sha in artefact.files.items()
    }
    files |= {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in looked_at.items()}
    return Record(conditions=dict(sorted(conditions.items())), files=files, counts=counts, refused=refused)


def require_countable(bundles: Sequence[str]) -> list[Path]:
    """Return the bundles' folders; raise ``UsageError`` unless each has a TFLite int8 artefact and its own name."""
    folders = [bundle_folder(bundle) for bundle in bundles]
    for folder in folders:
        if not any(str(artefact) == COUNTED for artefact in read_card(folder).artefacts):
            raise UsageError(f"bundle {folder}", expected=COUNTED, got="none", next_step="leave it out of --count")
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        got, step = ", ".join(names), "rename a folder: counts are told apart by it"
        raise UsageError("--count", expected="bundles of different names", got=got, next_step=step)
    return folders


def count_networks(emulator: Emulator, folders: Sequence[Path]) -> dict[str, dict[str, int]]:
    """Return the instructions of one face through each bundle's TFLite int8 network: bundle -> board -> how many.

    Raises ``BundleError`` for one that a board refuses.
    """
    place = emulator.folder / "bundles"
    shutil.rmtree(place, ignore_errors=True)
    for folder in folders:
        shutil.copytree(folder, place / folder.name)
    pairs = [*product([folder.name for folder in folders], BOARDS)]
    tasks = [Task(engine="tflite", bundles=(f"{place.name}/{name}",), precision="int8") for name, _ in pairs]
    jobs = [Job(board=board, environment=ENVIRONMENT, task=task) for (_, board), task in zip(pairs, tasks, strict=True)]
    counts: dict[str, dict[str, int]] = {folder.name: {} for folder in folders}
    for (name, board), (job, result) in zip(pairs, _emulate_all(emulator, jobs).items(), strict=True):
        if result["refused"]:
            got, step = "; ".join(result["refused"].values()), "export it again, or leave it out of --count"
            raise BundleError(str(job), expected="a right answer", got=got, next_step=step)
        counts[name][board] = result["counts"][f"{name} {COUNTED}"]["network"]
    return counts


def _emulate_all(emulator: Emulator, jobs: Sequence[Job]) -> dict[Job, dict[str, Any]]:
    """Run the jobs, as many at a time as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda numbered: emulate(emulator, numbered[1], f"run-{numbered[0]}"), enumerate(jobs))
        return dict(zip(jobs, tqdm(results, total=len(jobs), unit="run", leave=False, disable=None), strict=True))


def emulate(emulator: Emulator, job: Job, out: str) -> dict[str, Any]:
    """Run one job in the folder ``out`` of the emulator; return what ``guest`` found, with the faces that it saw."""
    folder = emulator.folder / out
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "task.json").write_text(json.dumps(to_plain(job.task)), encoding="utf-8")
    yunet = "yunet" in job.task.detectors
    start = emulator.command(job.board, job.environment, Path(out) / "count", yunet=yunet)
    guest = ["-m", "benchmarks.arm.guest", out]
    _require_success(str(job), run_to_end([*start, *guest], str(job), cwd=emulator.folder, env={}))
    found: dict[str, Any] = json.loads((folder / "found.json").read_bytes())
    return found | {"faces": _faces(folder) if job.task.picture else []}


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


def refused_without_vnni(emulator: Emulator, bundles: Sequence[str]) -> dict[str, str]:
    """Return x86's int8 artefacts that are refused on a processor without VNNI, where sums of products may overflow."""
    player = [str(emulator.folder / X86_PLAYER), "-cpu", "Haswell", sys.executable, "-m", "edge_runtime", "check"]
    int8 = ["--detector", "mtcnn", "--precision", "int8"]

    def check(bundle: str, engine: Engine) -> str | None:
        what = f"{bundle} {engine} int8 on a Haswell"
        done = run_to_end([*player, *int8, "--bundle", bundle, "--engine", engine], what, cwd=CHECKOUT)
        if done.returncode == BundleError.exit_code:
            return _last_line(done)
        _require_success(what, done)
        return None

    pairs = [*product(bundles, ENGINES)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        refusals = pool.map(lambda pair: check(*pair), pairs)
        return {
            name_of("x86-64 without VNNI", f"{bundle} {engine} int8"): why
            for (bundle, engine), why in zip(pairs, refusals, strict=True)
            if why
        }


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
