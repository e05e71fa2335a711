"""What runs under emulation: one engine's artefacts are loaded, tested and counted, and it reads a picture.

``python -m benchmarks.arm.guest FOLDER``, with the device wheel and its packages alone. FOLDER holds ``task.json``, see
``Task``, and ``count``, which ``counter.c`` counts in; into it come ``found.json``, and ``faces.jsonl`` as ``fer-edge
run`` writes it. One thread, for instructions spent waiting for another would be counted too.
"""

from __future__ import annotations

import json
import mmap
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from edge_runtime.cli import main as fer_edge
from edge_runtime.emotions import selftest
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder
from edge_runtime.emotions.contract import Artefact, Engine, Precision, read_card
from edge_runtime.errors import BundleError
from edge_runtime.faces.detectors import DetectorName, open_detector
from edge_runtime.options import from_plain
from edge_runtime.recogniser import STAGES, Recogniser
from edge_runtime.sources.synthetic import PanSource

BUNDLE = "student"
"""What reads pictures and whole frames: the default."""
WARM_UP, CALLS = 2, 5
CYCLE, CYCLES = 3, 2
"""Frames are counted over two cycles of detection, each of a frame in which faces are looked for and two in which they
are followed; one cycle before is not counted."""

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one process does under emulation.

    ``bundles``: whose artefacts of ``engine``, and of ``precision`` if it is named, are counted. ``detectors``: with
    which whole frames of ``picture`` are. Without a picture none is read.
    """

    engine: Engine
    bundles: tuple[str, ...]
    precision: Precision | None = None
    picture: str | None = None
    detectors: tuple[DetectorName, ...] = ()


def instruction_clock(file: Path) -> Clock:
    """Return what reads the number of instructions that this process has executed."""
    with file.open("rb") as opened:
        count = memoryview(mmap.mmap(opened.fileno(), 8, mmap.MAP_SHARED, mmap.PROT_READ)).cast("Q")
    return lambda: count[0]


def count(call: Callable[[], object], clock: Clock) -> int:
    """Return the median number of instructions of ``CALLS`` calls after ``WARM_UP`` others.

    Once in a while ONNX Runtime spends some hundred thousand beside a call, by which a mean would be off.
    """
    for _ in range(WARM_UP):
        call()
    taken = []
    for _ in range(CALLS):
        started = clock()
        call()
        taken.append(clock() - started)
    return round(median(taken))


def count_artefact(bundle: str, artefact: Artefact, clock: Clock) -> dict[str, int]:
    """Load, and so self-test, an artefact; count one face through the network, and its whole way.

    ``network``: the backend alone. ``face``: normalised, through the network, calibrated probabilities.
    """
    classifier = EmotionClassifier.load(bundle, engine=artefact.engine, precision=artefact.precision, threads=1)
    face = selftest.faces(1, 1)
    infer, taken = classifier.backend.infer, []

    def counted(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        started = clock()
        logits = infer(batch)
        taken.append(clock() - started)
        return logits

    # of the same calls: floating point is emulated number by number, and a face costs seconds
    with mock.patch.object(classifier.backend, "infer", counted):
        whole = count(lambda: classifier.probabilities(face), clock)
    classifier.close()
    return {"network": round(median(taken[WARM_UP:])), "face": whole}


def count_frames(engine: Engine, detector: DetectorName, picture: Path, clock: Clock) -> dict[str, int]:
    """Instructions a frame by stage, of a pan over ``picture``, at the settings of ``fer-edge run``."""
    # the recogniser's own stopwatch reads the instruction count: its nanoseconds are instructions
    with (
        mock.patch("edge_runtime.recogniser.time", SimpleNamespace(perf_counter_ns=clock)),
        Recogniser.load(BUNDLE, engine=engine, precision="int8", threads=1, detector=detector) as recogniser,
    ):
        results = [recogniser.process(frame) for frame in islice(PanSource(picture), CYCLE * (1 + CYCLES))][CYCLE:]
    return {stage: round(np.mean([result.stage_ms[stage] * 1e6 for result in results])) for stage in STAGES}


def count_anchor(clock: Clock) -> int:
    """Instructions of YuNet on an empty picture of 160×120, whose milliseconds on boards are published."""
    detector, picture = open_detector("yunet"), np.full((120, 160, 3), 128, np.uint8)
    return count(lambda: detector.detect(picture), clock)


def run_arguments(engine: Engine, precision: str, picture: Path, folder: Path) -> list[str]:
    """Arguments of ``fer-edge`` that write what it sees in ``picture`` to ``folder``, the same on any machine."""
    sink, artefact = f"jsonl:{folder / 'faces.jsonl'}", ["--engine", engine, "--precision", precision]
    return ["run", "--source", str(picture), "--sink", sink, *artefact, "--detector", "mtcnn"]


def main() -> int:
    """Do all of it; return the exit code, with a picture that of ``fer-edge run``."""
    folder = Path(sys.argv[1])
    task = from_plain(Task, json.loads((folder / "task.json").read_bytes()))
    clock, counts, refused = instruction_clock(folder / "count"), {}, {}
    for bundle in task.bundles:
        for artefact in read_card(bundle_folder(bundle)).artefacts:
            if artefact.engine == task.engine and task.precision in (None, artefact.precision):
                name = f"{Path(bundle).name} {artefact}"
                try:
                    counts[name] = count_artefact(bundle, artefact, clock)
                except BundleError as error:
                    refused[name] = str(error)
    if task.picture:
        for detector in task.detectors:
            counts[f"frame by {detector}"] = count_frames(task.engine, detector, Path(task.picture), clock)
    if "yunet" in task.detectors:
        counts["anchor"] = {"yunet": count_anchor(clock)}
    # what the bundle prefers, unless it is refused here
    right = (precision for precision in ("int8", "fp32", "fp16") if f"{BUNDLE} {task.engine} {precision}" in counts)
    precision = next(right, "")
    versions = {dist.name.lower(): dist.version for dist in metadata.distributions()}
    found = {"versions": versions, "counts": counts, "refused": refused, "precision": precision}
    (folder / "found.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    if not task.picture:
        return 0
    if not precision:
        print("; ".join(refused.values()), file=sys.stderr)
        return BundleError.exit_code
    return fer_edge(run_arguments(task.engine, precision, Path(task.picture), folder))


if __name__ == "__main__":
    sys.exit(main())
