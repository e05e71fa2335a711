"""``fer-edge bench``: ms/face and ms/frame of every artefact of a bundle whose engine is installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.conditions import conditions
from benchmarks.report import Report, Row, table, write_report
from benchmarks.scenarios import NULL, crops_of, faces_scenario, frame_scenario, load_candidates, read_clip
from edge_runtime.errors import UsageError
from edge_runtime.faces.detectors import DetectorName, open_detector
from edge_runtime.options import option, to_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """Options of ``fer-edge bench``."""

    source: str = option(
        "", "video file or synthetic:PICTURE: the clip of the frame scenario, and where the faces come from"
    )
    bundle: str = option("student", "name of a shipped bundle, or a bundle's folder")
    threads: int = option(1, "CPU threads of detection and inference")
    detector: DetectorName = option("auto", "face detector; auto takes YuNet when FER_EDGE_YUNET names its file")
    faces: tuple[int, ...] = option((1, 4, 8), "numbers of faces to classify in one call")
    min_seconds: float = option(1.0, "least time of each candidate in each scenario")
    min_count: int = option(500, "least calls of each candidate in each scenario; 500 carry a p99")
    out: Path = option(Path("out/bench.json"), "the JSON report")

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for flag, holds, expected in (
            ("--source", bool(self.source), "a video file or synthetic:PICTURE"),
            ("--faces", min(self.faces) >= 1, "at least 1"),
            ("--min-count", self.min_count >= 1, "at least 1"),
            ("--threads", self.threads >= 1, "at least 1"),
        ):
            if not holds:
                got = str(getattr(self, flag[2:].replace("-", "_"))) or "nothing"
                raise UsageError(f"{flag} is out of range", expected=expected, got=got, next_step="correct the option")


def bench(options: BenchOptions) -> None:
    """Measure, print the table and write the report."""
    import cv2

    cv2.setNumThreads(options.threads)
    clip = read_clip(options.source)
    detector = open_detector(options.detector)
    candidates = load_candidates(options.bundle, options.threads)
    card = candidates[NULL].classifier.card
    crops = crops_of(clip, detector, card.input.crop.margin)
    rows = []
    for n in options.faces:
        latencies = faces_scenario(candidates, crops, n, min_seconds=options.min_seconds, min_count=options.min_count)
        rows += [
            Row(scenario="faces", candidate=name, faces=n, stage="", latency=latency)
            for name, latency in latencies.items()
        ]
    frames = frame_scenario(candidates, detector, clip, min_count=options.min_count)
    rows += [
        Row(scenario="frame", candidate=name, faces=0, stage=stage, latency=latency)
        for name, stages in frames.items()
        for stage, latency in stages.items()
    ]
    report = Report(
        conditions=conditions(),
        options=to_plain(options),
        files={
            name: sha256
            for artefact in card.artefacts
            if str(artefact) in candidates
            for name, sha256 in artefact.files.items()
        },
        detector=detector.name,
        load_ms={name: candidate.load_ms for name, candidate in candidates.items()},
        first_ms={name: candidate.first_ms for name, candidate in candidates.items()},
        rows=tuple(rows),
    )
    write_report(report, options.out)
    print(table(report))
