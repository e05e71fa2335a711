"""``fer-edge run``: frames from a source, through the recogniser, into the sinks."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from tqdm import tqdm

from edge_runtime.emotions.contract import EngineChoice, Precision
from edge_runtime.faces.detectors import DetectorName
from edge_runtime.options import option
from edge_runtime.recogniser import Recogniser
from edge_runtime.sinks import open_sink
from edge_runtime.sinks.base import Sink
from edge_runtime.sources import open_source
from edge_runtime.sources.base import Source
from edge_runtime.stats import RunStats


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of ``fer-edge run``."""

    source: str = option("0", "camera index, video file, picture, or synthetic:PICTURE for a clip made from it")
    sink: tuple[str, ...] = option(
        ("none",),
        "any of video:FILE.mp4 (or .webm, which browsers play, at 30 times the cost), jsonl:FILE, jsonl:- and none",
    )
    bundle: str = option("student", "name of a shipped bundle, or a bundle's folder")
    engine: EngineChoice = option("auto", "inference engine; auto takes the first one installed")
    precision: Precision = option("int8", "precision of the artefact")
    threads: int = option(1, "CPU threads of detection and inference")
    detector: DetectorName = option("auto", "face detector; auto takes YuNet when FER_EDGE_YUNET names its file")


def run(options: RunOptions) -> None:
    """Run the loop until the source ends or Ctrl-C.

    Finished files are kept, and on any error nothing half-written is left.
    """
    with (
        open_source(options.source) as source,
        Recogniser.load(
            options.bundle,
            engine=options.engine,
            precision=options.precision,
            threads=options.threads,
            detector=options.detector,
        ) as recogniser,
        contextlib.ExitStack() as closing,
    ):
        print(f"{recogniser.classifier}, faces by {recogniser.detector.name}", file=sys.stderr)
        sinks = []
        for address in options.sink:
            if sink := open_sink(address, source.fps):
                sinks.append(sink)
                closing.push(_finish(sink))
        stats = RunStats()
        try:
            loop(source, recogniser, sinks, stats)
        finally:
            print(stats.summary(), file=sys.stderr)


def loop(source: Source, recogniser: Recogniser, sinks: Sequence[Sink], stats: RunStats) -> None:
    """Pass every frame of ``source`` through ``recogniser`` into ``sinks``, and count it in ``stats``."""
    for frame in tqdm(source, desc="frames", unit="frame", leave=False, mininterval=0.5, disable=None):
        result = recogniser.process(frame)
        started = time.perf_counter_ns()
        for sink in sinks:
            sink.write(result)
        stats.add(result, output_ms=(time.perf_counter_ns() - started) / 1e6)


def _finish(sink: Sink) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], None]:
    """Return what ends ``sink`` when the loop is left.

    Its file is kept at the end and after Ctrl-C, and removed after an error.
    """

    def leave(kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            sink.close()
        else:
            sink.discard()

    return leave
