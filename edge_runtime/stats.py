"""Percentiles of times, and what a run of the loop adds up to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from edge_runtime.results import FrameResult


@dataclass(slots=True, kw_only=True)
class RunStats:
    """What one run of the loop saw; grows by a few numbers a face, never by pictures."""

    stage_ms: list[dict[str, float]] = field(default_factory=list)
    faces_per_frame: list[int] = field(default_factory=list)
    emotions: dict[int, Counter[str]] = field(default_factory=dict)
    """Track id -> emotion -> number of frames."""

    def add(self, result: FrameResult, output_ms: float) -> None:
        """Count one frame; ``output_ms``: what its sinks took."""
        self.stage_ms.append(result.stage_ms | {"output": output_ms})
        self.faces_per_frame.append(len(result.faces))
        for face in result.faces:
            self.emotions.setdefault(face.track_id, Counter())[face.emotion] += 1

    def summary(self) -> str:
        """Lines for people: faces found, the dominant emotion of each, milliseconds a frame by stage."""
        if not self.stage_ms or not self.faces_per_frame:
            return "no frames"
        frames, faces = len(self.faces_per_frame), sum(self.faces_per_frame)
        lines = [f"{frames} frames, {faces} faces found, at most {max(self.faces_per_frame)} in one frame"]
        for track_id, counts in sorted(self.emotions.items()):
            emotion, n = counts.most_common(1)[0]
            lines.append(f"  face {track_id}: {emotion} in {n} of its {counts.total()} frames")
        lines.append(f"{'ms/frame':<10}{'mean':>8}{'p50':>8}{'p90':>8}{'max':>8}")
        columns = {stage: [row[stage] for row in self.stage_ms] for stage in self.stage_ms[0]}
        columns["total"] = [sum(row.values()) for row in self.stage_ms]
        for stage, values in columns.items():
            p50, p90 = np.percentile(values, (50, 90))
            lines.append(f"  {stage:<8}{np.mean(values):>8.2f}{p50:>8.2f}{p90:>8.2f}{max(values):>8.2f}")
        return "\n".join(lines)
