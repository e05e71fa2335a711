"""What a run of the loop adds up to, in memory that does not grow with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from edge_runtime.process import age_s, files_mb, peak_mb
from edge_runtime.results import FrameResult

_BINS_A_DECADE = 100
_SMALLEST_MS = 1e-3
_DECADES = 8  # up to 100 seconds
_MOST_TRACKS = 20


class Times:
    """Milliseconds: exact mean and maximum, percentiles to 1.2 % by a histogram of logarithmic bins."""

    def __init__(self) -> None:
        """Start with none."""
        self._counts = np.zeros(_BINS_A_DECADE * _DECADES, np.int64)
        self.n, self.total_ms, self.max_ms = 0, 0.0, 0.0

    def add(self, ms: float) -> None:
        """Count one time."""
        place = int(np.log10(max(ms, _SMALLEST_MS) / _SMALLEST_MS) * _BINS_A_DECADE)
        self._counts[min(place, len(self._counts) - 1)] += 1
        self.n, self.total_ms, self.max_ms = self.n + 1, self.total_ms + ms, max(self.max_ms, ms)

    @property
    def mean_ms(self) -> float:
        """Mean of all times; 0 of none."""
        return self.total_ms / max(self.n, 1)

    def percentile_ms(self, share: float) -> float:
        """Return the time that ``share`` (0 to 1) of them do not exceed: the middle of its bin."""
        place = int(np.searchsorted(self._counts.cumsum(), share * self.n))
        middle: float = _SMALLEST_MS * 10 ** ((place + 0.5) / _BINS_A_DECADE)
        return min(middle, self.max_ms)


@dataclass(slots=True, kw_only=True)
class RunStats:
    """What one run of the loop saw."""

    stages: dict[str, Times] = field(default_factory=dict)
    """Stage -> its times; "total" is their sum, "age" the time from capture to the sinks, of live sources."""
    frames: int = 0
    faces: int = 0
    most_faces: int = 0
    detections: int = 0
    dropped: int = 0
    first_s: float | None = None
    """From the start of the process to the first frame's results in the sinks."""
    tracks: int = 0
    emotions: dict[int, Counter[str]] = field(default_factory=dict)
    """Track id -> emotion -> number of frames, of the first twenty tracks of a video."""
    in_stills: Counter[str] = field(default_factory=Counter)
    """Emotion -> number of faces, of pictures: each has people of its own."""

    def add(self, result: FrameResult, output_ms: float, age_ms: float | None = None) -> None:
        """Count one frame; ``output_ms``: what its sinks took; ``age_ms``: how old it was then, if it was live."""
        times = result.stage_ms | {"output": output_ms}
        times["total"] = sum(times.values())
        if age_ms is not None:
            times["age"] = age_ms
        for stage, ms in times.items():
            self.stages.setdefault(stage, Times()).add(ms)
        if not self.frames:
            self.first_s = age_s()
        self.frames += 1
        self.faces += len(result.faces)
        self.most_faces = max(self.most_faces, len(result.faces))
        self.detections += result.detection.ran
        self.dropped = result.frame.dropped
        if result.frame.still:
            self.in_stills.update(face.emotion for face in result.faces)
            return
        for face in result.faces:
            self.tracks = max(self.tracks, face.track_id)
            if face.track_id in self.emotions or len(self.emotions) < _MOST_TRACKS:
                self.emotions.setdefault(face.track_id, Counter())[face.emotion] += 1

    def summary(self) -> str:
        """Lines for people: faces found, the dominant emotion of each, milliseconds a frame by stage."""
        if not self.frames:
            return "no frames"
        lines = [
            f"{self.frames} frames, {self.faces} faces found, at most {self.most_faces} in one frame",
            f"{self.detections} detections, {self.dropped} frames dropped",
        ]
        if self.in_stills:
            lines.append("  " + ", ".join(f"{emotion} {n}" for emotion, n in self.in_stills.most_common()))
        for track_id, counts in sorted(self.emotions.items()):
            emotion, n = counts.most_common(1)[0]
            lines.append(f"  face {track_id}: {emotion} in {n} of its {counts.total()} frames")
        if self.tracks > _MOST_TRACKS:
            lines.append(f"  … and more, up to face {self.tracks}")
        lines.append(f"{'ms/frame':<10}{'mean':>8}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>8}")
        for stage, times in self.stages.items():
            percentiles = "".join(f"{times.percentile_ms(share):>8.2f}" for share in (0.5, 0.9, 0.99))
            lines.append(f"  {stage:<8}{times.mean_ms:>8.2f}{percentiles}{times.max_ms:>8.2f}")
        peak, files = peak_mb(), files_mb()
        if self.first_s is not None and peak is not None and files is not None:
            lines.append(
                f"first result {self.first_s:.2f} s after the start, at most {peak:.0f} MB of memory, "
                f"{files:.0f} of them libraries"
            )
        return "\n".join(lines)
