"""``fer-edge run``: frames from a source, through the recogniser, into the sinks.

A live source is read by a thread that keeps the newest frame, a file by one that reads two frames ahead; each sink that
writes a file has a thread too. What lies between, and a window, belong to the main thread, which signals interrupt.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from tqdm import tqdm

from edge_runtime.emotions.backends.base import Device
from edge_runtime.emotions.contract import EngineChoice, Precision
from edge_runtime.errors import SinkError, UsageError
from edge_runtime.faces.detectors import DetectorName
from edge_runtime.health import HealthWatch
from edge_runtime.interrupts import Interrupts
from edge_runtime.options import group, option, require
from edge_runtime.recogniser import Recogniser
from edge_runtime.say import say
from edge_runtime.sinks import open_sink
from edge_runtime.sinks.base import Sink
from edge_runtime.sinks.thread import SinkThread
from edge_runtime.sources import open_source
from edge_runtime.sources.address import redacted
from edge_runtime.sources.ahead import read_ahead
from edge_runtime.sources.base import CameraFlags, Source
from edge_runtime.sources.live import Patience
from edge_runtime.stats import RunStats


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of ``fer-edge run``."""

    source: str = option(
        "0",
        "camera (0, /dev/video0, picamera2:), rtsp:// or http:// address, video file, picture, folder of pictures, or "
        "synthetic:PICTURE",
    )
    sink: tuple[str, ...] = option(
        ("none",),
        "any of window, video:FILE.mp4 (or .webm, which browsers play, at 30 times the cost), jsonl:FILE, jsonl:-",
    )
    bundle: str = option("student", "name of a shipped bundle, or a bundle's folder")
    engine: EngineChoice = option("auto", "inference engine; auto takes the first one installed")
    precision: Precision = option("int8", "precision of the artefact")
    threads: int = option(1, "CPU threads of detection and inference")
    device: Device = option("CPU", "what OpenVINO runs on")
    detector: DetectorName = option("auto", "face detector; auto takes YuNet where its file is, MTCNN elsewhere")
    detect_every: int = option(3, "frames from one detection to the next; between them faces are followed")
    detect_width: int = option(320, "longer side in pixels at which faces are looked for; 640 finds farther ones")
    budget_ms: float | None = option(None, "milliseconds a frame: adapts how often and how finely faces are looked for")
    min_face: int = option(0, "least side of a face in pixels")
    min_score: float = option(0.0, "least score of a face, 0 to 1; each detector has a least one of its own")
    raw: bool = option(default=False, text="show each frame's own emotion, not averaged over time")
    blur_faces: bool = option(default=False, text="make faces unknowable in windows and videos")
    give_up_s: float = option(300.0, "seconds without a frame after which a live source ends with an error")
    camera: CameraFlags = group(CameraFlags)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        # x.jsonl is out/../x.jsonl, and a file that is read must not be replaced by what is made of it
        sinks = (sink.partition(":")[2] or sink for sink in self.sink)
        named = [_real(name) for name in (*sinks, self.source.removeprefix("synthetic:"))]
        if len(set(named)) < len(named):
            got, step = " ".join((redacted(self.source), *self.sink)), "name each file, and each sink, once"
            raise UsageError("--sink", expected="different sinks, and none the source", got=got, next_step=step)
        require("threads", self.threads, holds=self.threads >= 1, expected="more than 0")
        require("give_up_s", self.give_up_s, holds=self.give_up_s > 0, expected="more than 0")


def _real(name: str) -> str:
    """Return where a file lies, links followed; a name that no file can have as it is."""
    try:
        return os.path.realpath(name)
    except ValueError:
        return name


def run(options: RunOptions) -> None:
    """Run the loop until the source ends, Ctrl-C, SIGTERM or the window is closed.

    Then files are finished. On an error of a file that is read, nothing half-written is left; what a live source gave
    before its error is kept, for it will not come again.
    """
    stats, watch = RunStats(), HealthWatch()
    sinks: list[Sink] = []
    with (
        Interrupts() as interrupts,
        open_source(options.source, options.camera.asked, Patience(give_up_after_s=options.give_up_s)) as source,
        Recogniser.load(
            options.bundle,
            engine=options.engine,
            precision=options.precision,
            threads=options.threads,
            device=options.device,
            detector=options.detector,
            detect_every=options.detect_every,
            detect_width=options.detect_width,
            budget_ms=options.budget_ms,
            min_face=options.min_face,
            min_score=options.min_score,
            raw=options.raw,
        ) as recogniser,
    ):
        say(f"{recogniser.classifier}, faces by {recogniser.detector.name}")
        try:
            with watch, contextlib.ExitStack() as closing:  # the files are finished before the board is asked once more
                with interrupts.held():
                    for address in options.sink:
                        sink = open_sink(
                            address, source.fps, live=source.live, still=source.still, blur=options.blur_faces
                        )
                        if sink:
                            sink = SinkThread(sink, address, live=source.live) if sink.threaded else sink
                            sinks.append(sink)
                            closing.push(_finish(sink, keep=source.live or source.still))
                try:
                    loop(source, recogniser, sinks, stats)
                finally:
                    interrupts.hold()
        finally:
            if stats.frames:
                say(stats.summary())
                for sink in sinks:
                    if isinstance(sink, SinkThread) and sink.skipped:
                        say(f"{sink.name} was too slow for {sink.skipped} of the frames")
                say(str(watch.health))


def loop(source: Source, recogniser: Recogniser, sinks: Sequence[Sink], stats: RunStats) -> None:
    """Pass every frame of ``source`` through ``recogniser`` into ``sinks``, and count it in ``stats``."""
    with contextlib.nullcontext(source) if source.live else contextlib.closing(read_ahead(source)) as frames:
        for frame in tqdm(frames, desc="frames", unit="frame", leave=False, mininterval=0.5, disable=None):
            result = recogniser.process(frame)
            started_ns = time.perf_counter_ns()
            for sink in sinks:
                sink.write(result)
            output_ms = (time.perf_counter_ns() - started_ns) / 1e6
            age_ms = (time.monotonic_ns() - frame.captured_ns) / 1e6 if source.live else None
            stats.add(result, output_ms, age_ms)


def _finish(
    sink: Sink, *, keep: bool
) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], None]:
    """Return what ends ``sink`` when the loop is left.

    Its file is kept at the end, after Ctrl-C, and after another sink's error; after the source's where what it gave is
    worth having (``keep``): a camera's frames will not come again, and each picture is whole by itself. Else it is
    removed.
    """

    def leave(kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if kind is None or keep or issubclass(kind, KeyboardInterrupt | SinkError):
            sink.close()
        else:
            sink.discard()

    return leave
