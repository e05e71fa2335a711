"""Percentiles of times, and what a run of the loop adds up to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from edge_runtime.results import FrameResult


@dataclass(slots=True, kw_only=True)
class RunStats:
    """What one run of the loop saw; grows by a few numbers a face, never by pictures."""

    stage_ms: dict[str, list[float]] = field(default_factory=dict)
    faces_per_frame: list[int] = field(default_factory=list)
    emotions: dict[int, Counter[str]] = field(default_factory=dict)
    """Track id -> emotion -> number of frames."""

    def add(self, result: FrameResult, output_ms: float) -> None:
        """Count one frame; ``output_ms``: what its sinks took."""
        for stage, ms in (*result.stage_ms.items(), ("output", output_ms)):
            self.stage_ms.setdefault(stage, []).append(ms)
        self.faces_per_frame.append(len(result.faces))
        for face in result.faces:
            self.emotions.setdefault(face.track_id, Counter())[face.emotion] += 1

    def summary(self) -> str:
        """Lines for people: faces found, the dominant emotion of each, milliseconds a frame by stage."""
        if not self.faces_per_frame:
            return "no frames"
        frames, faces = len(self.faces_per_frame), sum(self.faces_per_frame)
        lines = [f"{frames} frames, {faces} faces found, at most {max(self.faces_per_frame)} in one frame"]
        for track_id, counts in sorted(self.emotions.items()):
            emotion, n = counts.most_common(1)[0]
            lines.append(f"  face {track_id}: {emotion} in {n} of its {counts.total()} frames")
        lines.append(f"{'ms/frame':<10}{'mean':>8}{'p50':>8}{'p90':>8}{'max':>8}")
        columns = {**self.stage_ms, "total": [sum(row) for row in zip(*self.stage_ms.values(), strict=True)]}
        for stage, values in columns.items():
            p50, p90 = np.percentile(values, (50, 90))
            lines.append(f"  {stage:<8}{np.mean(values):>8.2f}{p50:>8.2f}{p90:>8.2f}{max(values):>8.2f}")
        return "\n".join(lines)
