"""The report of a benchmark: one JSON document, and a table for people."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.clock import Latency
from edge_runtime.errors import DataError

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One candidate in one scenario.

    ``faces``: faces a call (0 in scenario ``frame``: as many as the frame has). ``stage``: of a frame, or empty.
    """

    scenario: str
    candidate: str
    faces: int
    stage: str
    latency: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of one run."""

    conditions: dict[str, str | int]
    options: dict[str, Any]
    files: dict[str, str]
    """Model file -> sha256: what was timed."""
    detector: str
    load_ms: dict[str, float]
    first_ms: dict[str, float]
    rows: tuple[Row, ...]
    schema: int = SCHEMA


def write_report(report: Report, path: Path) -> None:
    """Write the JSON document in one piece."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(dataclasses.asdict(report), indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def read_report(path: Path) -> Report:
    """Read a report that ``write_report`` wrote; raise ``DataError`` when it is not one of this schema."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(Row(**{**row, "latency": Latency(**row["latency"])}) for row in raw.pop("rows"))
        report = Report(**raw, rows=rows)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}",
            expected=f"a benchmark report of schema {SCHEMA}",
            got=str(error),
            next_step="make it again with fer-edge bench",
        ) from error
    if report.schema != SCHEMA:
        raise DataError(
            f"{path}",
            expected=f"schema {SCHEMA}",
            got=str(report.schema),
            next_step="make it again with fer-edge bench",
        )
    return report


def table(report: Report) -> str:
    """Lay the report out as lines for people."""
    lines = [" · ".join(f"{name} {value}" for name, value in report.conditions.items()), ""]
    columns = f"{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}{'n':>8}"
    lines.append(f"{'classify, ms a call':<28}{'ms/face':>10}{columns}")
    faces_rows = (row for row in report.rows if row.scenario == "faces")
    lines += [f"{row.candidate:<16}faces: {row.faces:<5}{_cells(row.latency, row.faces)}" for row in faces_rows]
    lines += ["", f"{'frame, ms, faces by ' + report.detector:<28}{'mean':>10}{columns}"]
    frame_rows = (row for row in report.rows if row.scenario == "frame")
    lines += [f"{row.candidate:<16}{row.stage:<12}{_cells(row.latency, 1)}" for row in frame_rows]
    lines.append("")
    lines.append(f"{'start, ms':<28}{'load':>10}{'first':>9}")
    lines += [f"{name:<28}{ms:>10.1f}{report.first_ms[name]:>9.2f}" for name, ms in report.load_ms.items()]
    return "\n".join(lines)


def _cells(latency: Latency, faces: int) -> str:
    percentiles = (
        f"{ms:>9.3f}" if ms is not None else f"{'–':>9}" for ms in (latency.p50_ms, latency.p90_ms, latency.p99_ms)
    )
    return f"{latency.mean_ms / faces:>10.3f}{''.join(percentiles)}{latency.max_ms:>9.2f}{latency.n:>8}"
