"""``fer-edge bench``: what the artefacts of a bundle cost on this machine, and under which conditions."""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from benchmarks import scenarios
from benchmarks.clip import crops_of, read_clip, scenes_of
from benchmarks.conditions import machine, read_state
from benchmarks.paced import paced
from benchmarks.record import record
from benchmarks.report import SCHEMA, Report
from benchmarks.session import NULL, Candidate, Measured, Session, require_measurable
from benchmarks.start import Start, load, measure_start
from edge_runtime.emotions.backends.base import ENGINES, installed_engines
from edge_runtime.emotions.classifier import bundle_folder
from edge_runtime.emotions.contract import Artefact, Engine, ModelCard, Precision, read_card
from edge_runtime.errors import BundleError, NotInstalledError, UsageError
from edge_runtime.faces.detectors import DetectorName, open_detector
from edge_runtime.files import make_folder
from edge_runtime.options import option, require, to_plain
from edge_runtime.scoring.datasets import FaceSet, read_faces

Scenario = Literal["single", "faces", "frame", "paced", "offline"]

_DURATION = re.compile(r"(\d{1,6}(?:\.\d+)?)(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """Options of ``fer-edge bench``."""

    source: str = option("", "video file or synthetic:PICTURE: the clip, and where the faces come from")
    bundle: str = option("student", "name of a shipped bundle, or a bundle's folder")
    engine: tuple[Engine, ...] = option((), "inference engines (default: all that are installed)")
    precision: tuple[Precision, ...] = option((), "precisions (default: all that the bundle has)")
    threads: tuple[int, ...] = option((1,), "CPU threads of detection and inference, one or several numbers")
    detector: DetectorName = option("auto", "face detector; auto takes YuNet where its file is, MTCNN elsewhere")
    scenarios: tuple[Scenario, ...] = option(
        ("single", "faces", "frame", "offline"), "what to measure; paced takes as long as its camera needs"
    )
    faces: tuple[int, ...] = option((1, 2, 4, 8, 16), "numbers of faces in a frame, of the scenario faces")
    batches: tuple[int, ...] = option((1, 8, 32), "faces in one call, of the scenario offline")
    fps: tuple[float, ...] = option((15.0, 30.0, 60.0), "rates of the camera, of the scenario paced")
    duration: str = option("", "first whole frames for so long without a pause, as in 10m: does the machine throttle")
    data: Path | None = option(None, "also accuracy: FER2013 as .csv, .parquet or a folder tree, PublicTest of it")
    min_seconds: float = option(1.0, "least seconds of each candidate in each case")
    min_count: int = option(500, "least calls of each candidate in each case; 500 carry a p99")
    baseline: str = option("", "candidate that the others are told as a multiple of, as in 'onnx int8'")
    out: Path = option(Path("out/bench.json"), "the report as JSON; beside it a page of the same name, .html")

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        long_enough = not self.duration or self.duration_s >= scenarios.LEAST_S
        for name, holds, expected in (
            ("source", bool(self.source), "a video file or synthetic:PICTURE"),
            ("threads", min(self.threads) >= 1, "at least 1"),
            ("faces", min(self.faces) >= 1, "at least 1"),
            ("batches", min(self.batches) >= 1, "at least 1"),
            ("fps", all(0 < fps <= 1000 for fps in self.fps), "more than 0, at most 1000"),  # noqa: PLR2004
            ("duration", long_enough, "at least 2s, as in 10m"),
        ):
            require(name, getattr(self, name), holds=holds, expected=expected)
        require_measurable(self.min_seconds, self.min_count, self.out)
        for name in ("engine", "precision", "threads", "scenarios", "faces", "batches", "fps"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                got, step = " ".join(map(str, values)), "name each once"
                raise UsageError(f"--{name}", expected="different values", got=got, next_step=step)

    @property
    def duration_s(self) -> float:
        """Seconds of ``duration``; 0 when it is none."""
        given = _DURATION.fullmatch(self.duration)
        return float(given[1]) * _SECONDS[given[2]] if given else 0.0


def bench(options: BenchOptions) -> None:
    """Measure, print the table, and write the report and its page; the report is on disk after every case.

    Raises ``BundleError`` at the end when an engine died; what the others, and it before, gave is in the report.
    """
    make_folder(options.out.parent)  # one that cannot be made is told of before anything is measured
    began = time.monotonic()
    before = read_state("before", began)
    labelled = read_faces(options.data, "PublicTest") if options.data else None
    card = read_card(bundle_folder(options.bundle))
    chosen = _choose(card, options)
    clip = read_clip(options.source)
    detector = open_detector(options.detector)
    scenes = scenes_of(clip, detector)
    starts, died = _start(options.bundle, chosen)
    session = Session(
        candidates={},
        clip=clip,
        scenes=scenes,
        crops=crops_of(scenes, card.input.crop.margin),
        detector=detector,
        min_seconds=options.min_seconds,
        min_count=options.min_count,
        died=died,
    )
    for name in starts:
        artefact, threads = chosen[name]
        with session.survive(name, "loading"):
            classifier = load(options.bundle, artefact, threads)
            session.candidates[name] = Candidate(name=name, classifier=classifier, threads=threads)
    height, width = clip.images[0].shape[:2]
    report = Report(
        schema=SCHEMA,
        command=shlex.join(["fer-edge", *sys.argv[1:]]),
        options=to_plain(options),
        complete=False,
        machine=machine(),
        states=(before,),
        bundle=card.name,
        files={str(artefact): artefact.files for artefact, _ in chosen.values() if artefact},
        detector=detector.name,
        clip={
            "source": options.source,
            "sha256": clip.sha256,
            "pictures": f"{len(clip.images)} of {width}×{height}",
            "faces": f"{len(session.crops) / len(clip.images):.1f} a picture",
        },
        data=labelled.sha256 if labelled else "",
        starts=starts,
        died=session.died,
        rows=(),
    )
    record(report, _measure(session, options, labelled), options.out, began)


def _measure(session: Session, options: BenchOptions, labelled: FaceSet | None) -> Iterator[Measured]:
    if options.duration:  # first: what is measured before it would have warmed the machine
        yield from scenarios.steady(session, options.duration_s)
    for name in options.scenarios:
        match name:
            case "single":
                yield from scenarios.single(session)
            case "faces":
                yield from scenarios.faces(session, options.faces)
            case "frame":
                yield from scenarios.frame(session)
            case "paced":
                yield from paced(session, options.fps)
            case "offline":
                yield from scenarios.offline(session, options.batches)
    if labelled:
        yield from scenarios.accuracy(session, labelled)


def _choose(card: ModelCard, options: BenchOptions) -> dict[str, tuple[Artefact | None, int]]:
    """Return what is measured, by name: artefacts × threads, and the null backend last."""
    installed = installed_engines()
    for engine in options.engine:
        if engine not in installed:
            step = f"in the checkout, pip install '.[{ENGINES[engine].extra}]'"
            raise NotInstalledError(f"--engine {engine}", expected="its package", got="not installed", next_step=step)
    wanted = [
        artefact
        for artefact in card.artefacts
        if artefact.engine in (options.engine or installed)
        and artefact.precision in (options.precision or [artefact.precision])
    ]
    if not wanted:
        has, step = ", ".join(map(str, card.artefacts)), "install another engine, or choose what there is"
        got = f"engines {', '.join(installed) or 'none'} and what was asked for"
        raise NotInstalledError("nothing to measure", expected=f"one of {has}", got=got, next_step=step)
    chosen: dict[str, tuple[Artefact | None, int]] = {
        f"{artefact}" + (f" {threads} threads" if threads > 1 else ""): (artefact, threads)
        for artefact in wanted
        for threads in options.threads
    }
    if options.baseline and options.baseline not in chosen:
        step = "name one of them with --baseline"
        raise UsageError("--baseline", expected=f"one of {', '.join(chosen)}", got=options.baseline, next_step=step)
    return chosen | {NULL: (None, options.threads[0])}


def _start(bundle: str, chosen: dict[str, tuple[Artefact | None, int]]) -> tuple[dict[str, Start], dict[str, str]]:
    """Start each in a process of its own; return how those that live did, and what the others died of.

    Each engine is started once before it counts: who is first would wait for the disk.
    """
    starts: dict[str, Start] = {}
    died: dict[str, str] = {}
    read: set[str] = set()
    for name, (artefact, threads) in tqdm(chosen.items(), desc="starts", leave=False, disable=None):
        try:
            if artefact and artefact.engine not in read:
                read.add(artefact.engine)
                measure_start(bundle, artefact, threads)
            starts[name] = measure_start(bundle, artefact, threads)
        except BundleError as error:
            died[name] = str(error)
    return starts, died
